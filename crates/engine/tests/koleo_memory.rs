//! KoLeo-proto never holds a `[k, k]` matrix. Alone in its process: the pool is one per process.

mod memory;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::ops::koleo::{Form, backward, forward};
use engine::{ParamTable, Params, Role, pool};
use memory::{MIB, R, numbers};

/// Tests of one process take turns.
static POOL: Mutex<()> = Mutex::new(());

/// The most memory of the process so far, in bytes; nothing where the system does not tell.
fn resident_peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?)
}

/// What forward and backward over `k` prototypes need beside their inputs and the gradient: bytes of
/// the pool, bytes of the whole process, and the time. On two threads, so that as many tiles live at
/// once on every machine.
fn measure(k: usize) -> (usize, Option<usize>, Duration) {
    let _turn = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads");
    let mut table = ParamTable::default();
    let g = table.add("g", &[k], Role::PrototypeNorm);
    let v = table.add("v", &[k, R], Role::Prototype);
    let table = Arc::new(table);
    let (mut params, mut grads) = (Params::zeros(table.clone()), Params::zeros(table));
    let values = numbers(&[params.table().len()]);
    params.whole_mut().host_mut().copy_from_slice(values.host());
    drop(values);
    let resident = resident_peak();
    pool::reset_peak();
    let (before, start) = (pool::usage().in_use, Instant::now());
    threads.install(|| {
        let (loss, saved) = forward(&params, g, v, Form::Plain);
        backward(saved, 1.0, v, &mut grads);
        assert!(loss.is_finite() && grads.whole().host().iter().all(|x| x.is_finite()));
    });
    let elapsed = start.elapsed();
    let resident = resident.zip(resident_peak()).map(|(before, after)| after - before);
    (pool::usage().peak - before, resident, elapsed)
}

/// Directions and their gradient, `[k, r]` each, and a tile for each thread: 128 MiB and some tiles at
/// 65,536 prototypes. A matrix of products would have 64 MiB at the larger one of these.
#[test]
fn memory_grows_with_the_number_of_prototypes_and_not_with_its_square() {
    for k in [1024, 4096] {
        let (peak, ..) = measure(k);
        let directions = 2 * k * R * size_of::<f32>();
        assert!(peak <= directions + MIB, "{peak} bytes for {k} prototypes");
    }
}

/// The number of docs/performance.md.
#[test]
#[ignore = "takes a minute"]
fn prototypes_of_dino_fit_into_256_mib() {
    let (peak, resident, elapsed) = measure(65_536);
    let mib = |bytes: usize| bytes as f64 / MIB as f64;
    println!(
        "65,536 prototypes of width {R}: {:.1} MiB of the pool, {:?} MiB of the process, {:.1} s",
        mib(peak),
        resident.map(mib),
        elapsed.as_secs_f64()
    );
    assert!(peak.max(resident.unwrap_or(0)) <= 256 * MIB, "{peak} bytes, {resident:?} resident");
}
