use super::*;
use crate::testing::*;

/// The definition: weight, first and second moment of one number.
fn definition(s: &AdamW, [w, m, v]: [f64; 3], g: f64) -> [f64; 3] {
    let (b1, b2) = s.betas;
    let (m, v) = (b1 * m + (1.0 - b1) * g, b2 * v + (1.0 - b2) * g * g);
    let t = s.step as f64;
    let root = v.sqrt() / (1.0 - b2.powf(t)).sqrt() + s.eps;
    [w * (1.0 - s.lr * s.decay) - s.lr / (1.0 - b1.powf(t)) * m / root, m, v]
}

fn settings(step: u64) -> AdamW {
    AdamW { lr: 5e-3, decay: 0.04, betas: (0.9, 0.999), eps: 1e-8, step }
}

/// Twenty updates of order `lr` in f32, each good to a few ulp of a weight below 1.
#[test]
fn twenty_updates_are_those_of_the_definition() {
    for len in [0, 1, 17, CHUNK + 5] {
        let mut w = randoms(1, len);
        let (mut m, mut v) = (vec![0.0; len], vec![0.0; len]);
        let mut expected: Vec<_> = w.iter().map(|&w| [f64::from(w), 0.0, 0.0]).collect();
        for step in 1..=20 {
            let g = randoms(100 + step, len);
            update(&settings(step), &mut w, &g, Moments { first: &mut m, second: &mut v });
            for (state, &g) in expected.iter_mut().zip(&g) {
                *state = definition(&settings(step), *state, f64::from(g));
            }
        }
        let column = |c: usize| expected.iter().map(|state| state[c]).collect::<Vec<f64>>();
        assert_close(&w, &column(0), 3e-6, 1e-6);
        assert_close(&m, &column(1), 1e-6, 1e-6);
        assert_close(&v, &column(2), 1e-7, 1e-5);
    }
}

/// m / √v of the first update is ±1: the step is the learning rate.
#[test]
fn the_first_step_has_the_length_of_the_learning_rate() {
    let mut w = [1.0, 1.0];
    let first = AdamW { decay: 0.0, ..settings(1) };
    let (m, v) = (&mut [0.0; 2], &mut [0.0; 2]);
    update(&first, &mut w, &[3.0, -1e-3], Moments { first: m, second: v });
    assert_close(&w, &[0.995, 1.005], 1e-6, 0.0);
}

#[test]
fn the_billionth_step_is_still_finite() {
    let (w, m, v) = (&mut [1.0], &mut [0.0], &mut [0.0]);
    update(&settings(1 << 40), w, &[0.0], Moments { first: m, second: v });
    assert_close(w, &[1.0 - 5e-3 * 0.04], 1e-7, 0.0);
}

#[test]
fn threads_give_equal_bits() {
    let (w, g) = (randoms(2, 3 * CHUNK + 7), randoms(3, 3 * CHUNK + 7));
    assert_threads_agree(|| {
        let mut w = w.clone();
        let (mut m, mut v) = (g.clone(), vec![0.5; w.len()]);
        update(&settings(7), &mut w, &g, Moments { first: &mut m, second: &mut v });
        [w, m, v].concat()
    });
}

#[test]
#[should_panic(expected = "numbers of weights and gradients")]
fn gradients_of_another_length_are_refused() {
    let moments = Moments { first: &mut [0.0; 2], second: &mut [0.0; 2] };
    update(&settings(1), &mut [0.0; 2], &[0.0; 3], moments);
}

#[test]
#[should_panic(expected = "numbers of weights and moments")]
fn moments_of_another_length_are_refused() {
    let moments = Moments { first: &mut [0.0; 2], second: &mut [0.0; 1] };
    update(&settings(1), &mut [0.0; 2], &[0.0; 2], moments);
}

#[test]
#[should_panic(expected = "updates count from 1")]
fn step_zero_is_refused() {
    let moments = Moments { first: &mut [0.0], second: &mut [0.0] };
    update(&settings(0), &mut [0.0], &[0.0], moments);
}
