//! The objective never holds a `[rows, k]` matrix. Alone in its process: the pool is one per process.

mod memory;

use engine::Tensor;
use engine::ops::mixture_cross_entropy::{
    Gradients, Inputs, Pairs, Prototypes, Statistic, backward, forward,
};
use engine::pool;
use memory::{MIB, R, numbers};

/// The most that the pool lends at once beyond what the caller holds, in bytes, at the shapes of a
/// batch of 8: 2 teacher's and 10 student's crops.
fn peak(k: usize) -> usize {
    let (student_y, teacher_y) = (numbers(&[80, R]), numbers(&[16, R]));
    let (g, v, zeros) = (numbers(&[k]), numbers(&[k, R]), Tensor::zeros(&[k]));
    let (mut dg, mut dv) = (Tensor::zeros(&[k]), Tensor::zeros(&[k, R]));
    let mut statistic = vec![Statistic::LogSumOfProbs.empty(); k];
    let prototypes = |temperature| Prototypes { g: &g, v: &v, bias: &zeros, temperature };
    let inputs = Inputs {
        student_y: &student_y,
        student: prototypes(0.1),
        teacher_y: &teacher_y,
        teacher: prototypes(0.04),
        center: &zeros,
        pairs: Pairs::Views { teacher_crops: 2, student_crops: 10 },
    };
    pool::reset_peak();
    let before = pool::usage().in_use;
    let (outcome, saved) = forward(&inputs);
    let gradients =
        Gradients { g: Some(&mut dg), v: &mut dv, bias_slope: &zeros, statistic: &mut statistic };
    let dy = backward(saved, &inputs, 1.0, Statistic::LogSumOfProbs, gradients);
    assert!(outcome.loss.is_finite() && dy.iter().all(|x| x.is_finite()));
    pool::usage().peak - before
}

/// Two threads, so that the number of tiles that live at once is that of a small machine everywhere.
#[test]
fn the_objective_holds_no_matrix_of_all_prototypes() {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (small, large) = threads.install(|| (peak(65_536), peak(262_144)));
    assert!(small <= 16 * MIB, "{small} bytes for 65,536 prototypes");
    // Tiles of two lanes come and go in an order that differs between runs: less than one K-vector.
    assert!(large < small + MIB, "{small} bytes became {large} for 262,144 prototypes");
}
