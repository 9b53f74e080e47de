//! The teacher's update: `teacher ← m · teacher + (1 − m) · student`, in place.

use rayon::prelude::*;

use crate::simd::vectorize;

/// Moves the teacher towards the student; `momentum` is `m`, both slices have one length.
pub fn update(teacher: &mut [f32], student: &[f32], momentum: f64) {
    const CHUNK: usize = 1 << 14;
    assert_eq!(teacher.len(), student.len(), "numbers of teacher and student");
    let (keep, take) = (momentum as f32, (1.0 - momentum) as f32);
    teacher.par_chunks_mut(CHUNK).zip(student.par_chunks(CHUNK)).for_each(|(teacher, student)| {
        vectorize(|| {
            for i in 0..teacher.len() {
                teacher[i] = keep * teacher[i] + take * student[i];
            }
        });
    });
}
