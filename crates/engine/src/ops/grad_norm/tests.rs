use std::sync::Arc;

use super::cpu::CHUNK;
use super::*;
use crate::params::{ParamTable, Role};
use crate::testing::*;

/// Each chunk is an f32 sum of 16384 squares in 16 lanes.
#[test]
fn the_norms_are_those_of_f64() {
    let lens = [0, 1, 33, 3 * CHUNK + 5];
    let shapes = lens.map(|len| [len]);
    let (grads, _, params) = random_params(1, &shapes.each_ref().map(|shape| &shape[..]));
    for (norm, param) in norms(&grads).into_iter().zip(params) {
        let g = doubles(grads.view(param).host());
        let expected = inner(&g, &g).sqrt();
        assert!((norm - expected).abs() <= 1e-5 * expected, "{} values", g.len());
    }
}

fn of_values(values: &[f32]) -> f64 {
    let mut table = ParamTable::default();
    let param = table.add("g", &[values.len()], Role::Weight);
    let mut grads = Params::zeros(Arc::new(table));
    grads.view_mut(param).host_mut().copy_from_slice(values);
    norms(&grads)[0]
}

#[test]
fn a_norm_is_not_finite_where_a_value_is_not() {
    assert!(of_values(&[1.0, f32::NAN]).is_nan());
    assert_eq!(of_values(&[1.0, f32::INFINITY]), f64::INFINITY);
}

#[test]
fn clipping_shortens_long_gradients_and_leaves_short_ones() {
    assert_eq!(clip_factor(5.0, 6.0), 1.0);
    assert!((clip_factor(5.0, 1.0) - 0.2).abs() < 1e-6);
    assert!(clip_factor(f64::NAN, 1.0) == 1.0);
}

#[test]
fn threads_give_equal_bits() {
    let (grads, ..) = random_params(3, &[&[5 * CHUNK + 11], &[7]]);
    let on =
        |n| on_threads(n, || norms(&grads).iter().map(|norm| norm.to_bits()).collect::<Vec<_>>());
    assert_eq!((on(1), on(1)), (on(2), on(3)));
}
