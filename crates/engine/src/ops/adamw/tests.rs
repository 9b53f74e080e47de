use std::sync::Arc;

use super::*;
use crate::params::{ParamTable, Role};
use crate::testing::*;

const CHUNK: usize = 1 << 14;

/// The definition: weight, first and second moment of one value.
fn definition(s: &AdamW, segment: &Segment, [w, m, v]: [f64; 3], g: f64) -> [f64; 3] {
    let (b1, b2) = s.betas;
    let g = f64::from(segment.gradient_scale) * g;
    let (m, v) = (b1 * m + (1.0 - b1) * g, b2 * v + (1.0 - b2) * g * g);
    let t = segment.step as f64;
    let root = v.sqrt() / (1.0 - b2.powf(t)).sqrt() + s.eps;
    [w * (1.0 - s.lr * segment.decay) - s.lr / (1.0 - b1.powf(t)) * m / root, m, v]
}

const SETTINGS: AdamW = AdamW { lr: 5e-3, betas: (0.9, 0.999), eps: 1e-8 };

fn segment(param: Param, step: u64) -> Segment {
    Segment { param, decay: 0.04, gradient_scale: 1.0, step }
}

/// Weights, gradients and moments of one parameter.
struct One {
    param: Param,
    weights: Params,
    grads: Params,
    first: Params,
    second: Params,
}

impl One {
    fn new(weights: &[f32], grads: &[f32]) -> Self {
        let mut table = ParamTable::default();
        let param = table.add("w", &[weights.len()], Role::Weight);
        let table = Arc::new(table);
        let zeros = || Params::zeros(table.clone());
        let mut one =
            Self { param, weights: zeros(), grads: zeros(), first: zeros(), second: zeros() };
        one.weights.whole_mut().host_mut().copy_from_slice(weights);
        one.grads.whole_mut().host_mut().copy_from_slice(grads);
        one
    }

    fn update(&mut self, segments: &[Segment]) {
        let moments = Moments { first: &mut self.first, second: &mut self.second };
        update(&SETTINGS, segments, &mut self.weights, &self.grads, moments);
    }

    fn values(&self) -> [&[f32]; 3] {
        [&self.weights, &self.first, &self.second].map(|params| params.whole().host())
    }
}

/// Twenty updates of order `lr` in f32, each good to a few ulp of a weight below 1.
#[test]
fn twenty_updates_are_those_of_the_definition() {
    for len in [0, 1, 17, CHUNK + 5] {
        let mut one = One::new(&randoms(1, len), &vec![0.0; len]);
        let start = one.weights.whole().host().iter();
        let mut expected: Vec<_> = start.map(|&w| [f64::from(w), 0.0, 0.0]).collect();
        for step in 1..=20 {
            let g = randoms(100 + step, len);
            one.grads.whole_mut().host_mut().copy_from_slice(&g);
            let segment = Segment { gradient_scale: 0.5, ..segment(one.param, step) };
            one.update(&[segment]);
            for (state, &g) in expected.iter_mut().zip(&g) {
                *state = definition(&SETTINGS, &segment, *state, f64::from(g));
            }
        }
        let column = |c: usize| expected.iter().map(|state| state[c]).collect::<Vec<f64>>();
        let [w, m, v] = one.values();
        assert_close(w, &column(0), 3e-6, 1e-6);
        assert_close(m, &column(1), 1e-6, 1e-6);
        assert_close(v, &column(2), 1e-7, 1e-5);
    }
}

/// m / √v of the first update is ±1: the step is the learning rate.
#[test]
fn the_first_step_has_the_length_of_the_learning_rate() {
    let mut one = One::new(&[1.0, 1.0], &[3.0, -1e-3]);
    one.update(&[Segment { decay: 0.0, ..segment(one.param, 1) }]);
    assert_close(one.values()[0], &[0.995, 1.005], 1e-6, 0.0);
}

#[test]
fn the_billionth_step_is_still_finite() {
    let mut one = One::new(&[1.0], &[0.0]);
    one.update(&[segment(one.param, 1 << 40)]);
    assert_close(one.values()[0], &[1.0 - 5e-3 * 0.04], 1e-7, 0.0);
}

#[test]
fn parameters_without_a_segment_keep_their_bits() {
    let (mut weights, mut zeros, params) = random_params(1, &[&[40], &[CHUNK + 3], &[5]]);
    let grads = weights.clone();
    let before = weights.clone();
    let mut second = zeros.clone();
    let moments = Moments { first: &mut zeros, second: &mut second };
    update(
        &SETTINGS,
        &[segment(params[0], 1), segment(params[2], 3)],
        &mut weights,
        &grads,
        moments,
    );
    for (param, is_updated) in params.iter().zip([true, false, true]) {
        let (now, before) = (weights.view(*param).host(), before.view(*param).host());
        assert_eq!(now.iter().zip(before).all(|(now, before)| now != before), is_updated);
        assert_eq!(zeros.view(*param).host().iter().all(|&m| m != 0.0), is_updated);
    }
}

#[test]
fn threads_give_equal_bits() {
    let (w, g) = (randoms(2, 3 * CHUNK + 7), randoms(3, 3 * CHUNK + 7));
    assert_threads_agree(|| {
        let mut one = One::new(&w, &g);
        one.first.whole_mut().host_mut().copy_from_slice(&g);
        one.second.whole_mut().host_mut().fill(0.5);
        one.update(&[segment(one.param, 7)]);
        one.values().concat()
    });
}

#[test]
#[should_panic(expected = "values of weights and gradients")]
fn gradients_of_another_length_are_refused() {
    let mut one = One::new(&[0.0; 2], &[0.0; 2]);
    one.grads = One::new(&[0.0; 3], &[0.0; 3]).grads;
    one.update(&[segment(one.param, 1)]);
}

#[test]
#[should_panic(expected = "values of weights and moments")]
fn moments_of_another_length_are_refused() {
    let mut one = One::new(&[0.0; 2], &[0.0; 2]);
    one.second = One::new(&[0.0; 1], &[0.0; 1]).second;
    one.update(&[segment(one.param, 1)]);
}

#[test]
#[should_panic(expected = "updates count from 1")]
fn step_zero_is_refused() {
    let mut one = One::new(&[0.0], &[0.0]);
    one.update(&[segment(one.param, 0)]);
}
