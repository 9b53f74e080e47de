//! The teacher's update: `teacher ← m · teacher + (1 − m) · student`, in place.

use rayon::prelude::*;

use crate::profile;
use crate::rows::OneByOne;
use dispatch::kernel;

/// Moves the teacher towards the student; `momentum` is `m`, both slices have one length.
pub fn update(teacher: &mut [f32], student: &[f32], momentum: f64) {
    let _timer = profile::time("teacher's average", 0, 3 * student.len());
    const CHUNK: usize = 1 << 14;
    assert_eq!(teacher.len(), student.len(), "numbers of teacher and student");
    let (keep, take) = (momentum as f32, (1.0 - momentum) as f32);
    let chunks = teacher.par_chunks_mut(CHUNK).zip(student.par_chunks(CHUNK));
    chunks.one_by_one().for_each(|(teacher, student)| {
        blend(teacher, student, keep, take);
    });
}

kernel! {
    fn blend(teacher: &mut [f32], student: &[f32], keep: f32, take: f32) {
        for (teacher, student) in teacher.iter_mut().zip(student) {
            *teacher = keep * *teacher + take * student;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    /// Two products and a sum of numbers below 1.
    #[test]
    fn the_teacher_moves_by_one_minus_the_momentum() {
        for len in [0, 1, 33, 20_000] {
            let (mut teacher, student) = (randoms(1, len), randoms(2, len));
            let pairs = teacher.iter().zip(&student);
            let expected: Vec<f64> =
                pairs.map(|(&t, &s)| 0.996 * f64::from(t) + 0.004 * f64::from(s)).collect();
            update(&mut teacher, &student, 0.996);
            assert_close(&teacher, &expected, 2e-7, 0.0);
        }
    }

    #[test]
    fn momentum_one_keeps_the_teacher_and_zero_copies_the_student() {
        let (before, student) = (randoms(3, 50), randoms(4, 50));
        let mut teacher = before.clone();
        update(&mut teacher, &student, 1.0);
        assert_eq!(teacher, before);
        update(&mut teacher, &student, 0.0);
        assert_eq!(teacher, student);
    }

    #[test]
    fn threads_give_equal_bits() {
        let (teacher, student) = (randoms(5, 50_001), randoms(6, 50_001));
        assert_threads_agree(|| {
            let mut teacher = teacher.clone();
            update(&mut teacher, &student, 0.99);
            teacher
        });
    }

    #[test]
    #[should_panic(expected = "numbers of teacher and student")]
    fn a_student_of_another_size_is_refused() {
        update(&mut [0.0; 2], &[0.0; 3], 0.5);
    }
}
