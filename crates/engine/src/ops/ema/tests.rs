use std::sync::Arc;

use super::*;
use crate::params::{ParamTable, Role};
use crate::testing::*;

fn params(values: &[f32]) -> Params {
    let mut table = ParamTable::default();
    table.add("w", &[values.len()], Role::Weight);
    let mut params = Params::zeros(Arc::new(table));
    params.whole_mut().host_mut().copy_from_slice(values);
    params
}

/// Two products and a sum of values below 1.
#[test]
fn the_teacher_moves_by_one_minus_the_momentum() {
    for len in [0, 1, 33, 20_000] {
        let (before, after) = (randoms(1, len), randoms(2, len));
        let pairs = before.iter().zip(&after);
        let expected: Vec<f64> =
            pairs.map(|(&t, &s)| 0.996 * f64::from(t) + 0.004 * f64::from(s)).collect();
        let mut teacher = params(&before);
        update(&mut teacher, &params(&after), 0.996);
        assert_close(teacher.whole().host(), &expected, 2e-7, 0.0);
    }
}

#[test]
fn momentum_one_keeps_the_teacher_and_zero_copies_the_student() {
    let (before, student) = (randoms(3, 50), randoms(4, 50));
    let mut teacher = params(&before);
    update(&mut teacher, &params(&student), 1.0);
    assert_eq!(teacher.whole().host(), before);
    update(&mut teacher, &params(&student), 0.0);
    assert_eq!(teacher.whole().host(), student);
}

#[test]
fn threads_give_equal_bits() {
    let (teacher, student) = (randoms(5, 50_001), randoms(6, 50_001));
    assert_threads_agree(|| {
        let mut teacher = params(&teacher);
        update(&mut teacher, &params(&student), 0.99);
        teacher.whole().host().to_vec()
    });
}

#[test]
#[should_panic(expected = "values of teacher and student")]
fn a_student_of_another_size_is_refused() {
    update(&mut params(&[0.0; 2]), &params(&[0.0; 3]), 0.5);
}
