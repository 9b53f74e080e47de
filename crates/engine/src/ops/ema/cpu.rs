//! The teacher's update on the CPU.

use rayon::prelude::*;

use dispatch::kernel;

pub(super) fn update(teacher: &mut [f32], student: &[f32], momentum: f64) {
    const CHUNK: usize = 1 << 14;
    let (keep, take) = (momentum as f32, (1.0 - momentum) as f32);
    let chunks = teacher.par_chunks_mut(CHUNK).zip(student.par_chunks(CHUNK));
    chunks.with_max_len(1).for_each(|(teacher, student)| {
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
