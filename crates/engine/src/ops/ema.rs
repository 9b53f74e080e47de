//! The teacher's update: `teacher ← m · teacher + (1 − m) · student`, in place.

mod cpu;

use crate::params::Params;
use crate::profile;

/// Moves the teacher toward the student. `momentum` is `m`.
pub fn update(teacher: &mut Params, student: &Params, momentum: f64) {
    let len = student.table().len();
    let _timer = profile::time("teacher's average", 0, 3 * len);
    assert_eq!(teacher.table().len(), len, "values of teacher and student");
    let student = student.on_host();
    teacher.on_host_mut(|teacher| {
        cpu::update(teacher.whole_mut().host_mut(), student.whole().host(), momentum);
    });
}

#[cfg(test)]
mod tests;
