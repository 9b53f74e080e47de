//! The objective never holds a `[rows, k]` matrix. Alone in its process: the pool is one per process.

mod memory;

use std::sync::Arc;

use engine::ops::mixture_cross_entropy::{
    Gradients, Inputs, Pairs, Prototypes, Statistic, backward, forward,
};
use engine::pool;
use engine::{ParamTable, Params, Role, Tensor};
use memory::{MIB, R, numbers};

/// The most that the pool lends at once beyond what the caller holds, in bytes, at the shapes of a
/// batch of 8: 2 teacher's and 10 student's crops.
fn peak(k: usize) -> usize {
    let (student_y, teacher_y) = (numbers(&[80, R]), numbers(&[16, R]));
    let (g, v, zeros) = (numbers(&[k]), numbers(&[k, R]), Tensor::zeros(&[k]));
    let mut table = ParamTable::default();
    let g_param = table.add("g", &[k], Role::PrototypeNorm);
    let v_param = table.add("v", &[k, R], Role::Prototype);
    let mut grads = Params::zeros(Arc::new(table));
    let kind = Statistic::LogSumOfProbs;
    let mut statistic = Tensor::from_slice(&[k], &vec![kind.empty(); k]);
    let prototypes =
        |temperature| Prototypes { g: g.view(), v: v.view(), bias: zeros.host(), temperature };
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
    let (output, saved) = forward(&inputs);
    let gradients = Gradients {
        grads: &mut grads,
        g: Some(g_param),
        v: v_param,
        bias_slope: zeros.host(),
        kind,
        statistic: &mut statistic,
    };
    let dy = backward(saved, &inputs, 1.0, gradients);
    assert!(output.loss.is_finite() && dy.host().iter().all(|x| x.is_finite()));
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
