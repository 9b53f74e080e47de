use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// The definition, in f64.
fn definition(g: &[f32], v: &[f64], r: usize, neighbors: &[u32]) -> f64 {
    let k = g.len();
    let mu: Vec<Vec<f64>> = (0..k)
        .map(|i| {
            let v = &v[i * r..(i + 1) * r];
            let norm = inner(v, v).sqrt() * f64::from(g[i].signum());
            v.iter().map(|x| x / norm).collect()
        })
        .collect();
    let log = |i: usize| {
        let pairs = mu[i].iter().zip(&mu[neighbors[i] as usize]);
        (pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt() + 1e-8).ln()
    };
    -(0..k).map(log).sum::<f64>() / k as f64
}

/// For each direction the nearest other one, in f64.
fn neighbors(g: &[f32], v: &[f64], r: usize) -> Vec<u32> {
    let product = |i: usize, j: usize| {
        let (a, b) = (&v[i * r..(i + 1) * r], &v[j * r..(j + 1) * r]);
        let sign = f64::from(g[i].signum() * g[j].signum());
        sign * inner(a, b) / (inner(a, a) * inner(b, b)).sqrt()
    };
    let best = |i: usize| {
        let others = (0..g.len()).filter(|&j| j != i);
        others.max_by(|&a, &b| product(i, a).total_cmp(&product(i, b))).unwrap() as u32
    };
    (0..g.len()).map(best).collect()
}

/// Prototypes, and gradients of their layout that start at `start`.
struct Case {
    params: Params,
    grads: Params,
    g: Param,
    v: Param,
}

impl Case {
    fn new(g: &[f32], v: &[f32], start: f32) -> Self {
        let (mut params, mut grads, ids) = random_params(0, &[&[g.len()], &[v.len()]]);
        params.view_mut(ids[0]).host_mut().copy_from_slice(g);
        params.view_mut(ids[1]).host_mut().copy_from_slice(v);
        grads.whole_mut().host_mut().fill(start);
        Self { params, grads, g: ids[0], v: ids[1] }
    }

    fn forward(&self) -> (f64, Saved) {
        forward(&self.params, self.g, self.v, Form::Plain)
    }

    fn backward(&mut self, saved: Saved, scale: f32) -> &[f32] {
        backward(saved, scale, self.v, &mut self.grads);
        self.grads.view(self.v).host()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn loss_and_gradient_are_their_definitions(k in 2usize..40, r in 3usize..9, seed in 0u64..1000) {
        let (g, v) = (randoms(seed, k), randoms(seed + 1, k * r));
        let mut case = Case::new(&g, &v, 1.0);
        let (loss, saved) = case.forward();
        let wide = doubles(&v);
        let neighbors = neighbors(&g, &wide, r);
        prop_assert_eq!(saved.neighbors(), &neighbors[..]);
        let expected = definition(&g, &wide, r, &neighbors);
        prop_assert!((loss - expected).abs() < 1e-5, "{loss} for {expected}");
        let truth = gradient(&wide, |v| 0.5 * definition(&g, v, r, &neighbors));
        let truth: Vec<f64> = truth.iter().map(|dv| 1.0 + dv).collect();
        assert_close(case.backward(saved, 0.5), &truth, 2e-5 * magnitude(&truth), 1e-4);
    }
}

/// More rows than a block, more candidates than a tile.
#[test]
fn threads_give_equal_bits() {
    let (g, v) = (randoms(3, 1200), randoms(4, 1200 * 16));
    assert_threads_agree(|| {
        let mut case = Case::new(&g, &v, 0.0);
        let (loss, saved) = case.forward();
        let mut dv = case.backward(saved, 1.0).to_vec();
        dv.push(loss as f32);
        dv
    });
}

#[test]
fn equal_prototypes_have_a_finite_loss_and_no_gradient() {
    let v = [1.0, 2.0, 0.5].repeat(4);
    let mut case = Case::new(&[1.0; 4], &v, 0.0);
    let (loss, saved) = case.forward();
    assert!((loss - -(1e-8f64.ln())).abs() < 1e-4, "{loss}");
    assert_eq!(saved.neighbors(), [1, 0, 0, 0]);
    let dv = case.backward(saved, 1.0);
    assert!(dv.iter().all(|&dv| dv == 0.0), "{dv:?}");
}

#[test]
#[should_panic(expected = "directions of 1 prototypes")]
fn a_single_prototype_is_refused() {
    let _ = Case::new(&[1.0], &[1.0, 0.0], 0.0).forward();
}
