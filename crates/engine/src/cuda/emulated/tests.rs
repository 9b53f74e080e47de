use super::*;
use crate::cuda::{Buffer, Module};

static MISTAKES: Module = Module { name: "mistakes", source: include_str!("mistakes.cu") };

/// Launches one block of 64 threads with `shared` bytes over 64 values; returns these.
fn run(name: &'static str, seed: u64, shared: u32) -> Vec<f32> {
    let device = device(seed);
    let mut y = Buffer::from_slice(&device, &[0.5f32; 64]);
    let kernel = Kernel { module: &MISTAKES, name };
    let arguments = [y.pointer_mut().into()];
    let launch = Launch::new(1, 1, 64).with_shared(shared);
    // SAFETY: the kernels access `y`, which has a value for each thread, and the guard behind it.
    unsafe { device.launch(kernel, launch, &arguments) };
    let mut values = vec![0.0; 64];
    y.download(0, &mut values);
    values
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn a_missing_barrier_gives_nan() {
    for seed in 0..4 {
        assert!(run("no_barrier", seed, 256).iter().any(|y| y.is_nan()), "seed {seed}");
    }
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn shared_memory_starts_as_nan() {
    let values = run("reads_shared_memory_that_nothing_wrote", 0, 256);
    assert!(values.iter().all(|y| y.is_nan()));
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
#[should_panic(expected = "`writes_past_shared_memory`: wrote past the end of its shared memory")]
fn a_write_past_shared_memory_is_reported() {
    run("writes_past_shared_memory", 0, 256);
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
#[should_panic(expected = "`writes_past_the_end` wrote outside an allocation of 256 bytes")]
fn a_write_past_an_allocation_is_reported() {
    run("writes_past_the_end", 0, 0);
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
#[should_panic(expected = "a barrier or warp collective was not reached by all threads")]
fn a_deadlock_is_reported() {
    run("half_a_block_at_a_barrier", 0, 0);
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
#[should_panic(expected = "an argument has another type than its parameter")]
fn an_argument_of_another_type_is_refused() {
    let kernel = Kernel { module: &MISTAKES, name: "no_barrier" };
    // SAFETY: the launch is refused.
    unsafe { device(0).launch(kernel, Launch::new(1, 1, 64), &[1.0f32.into()]) };
}

#[test]
#[cfg_attr(not(cxx), ignore = "needs a C++ compiler: set CXX")]
fn blocks_and_threads_have_two_dimensions_in_any_order_of_warps() {
    let x: Vec<f32> = (0..6 * 128).map(|i| (i % 11) as f32).collect();
    let expected: Vec<f32> = x.chunks(128).map(|block| block.iter().sum()).collect();
    for seed in 0..4 {
        let device = device(seed);
        let x = Buffer::from_slice(&device, &x);
        let mut y = Buffer::uninit(&device, 6 * 4);
        let kernel = Kernel { module: &MISTAKES, name: "block_sums" };
        let launch = Launch { grid: [3, 2, 1], block: [16, 8, 1], shared: 16 };
        // SAFETY: `x` has a value for each thread, `y` one for each block.
        unsafe { device.launch(kernel, launch, &[x.pointer().into(), y.pointer_mut().into()]) };
        let mut sums = [0.0f32; 6];
        y.download(0, &mut sums);
        assert_eq!(sums[..], expected, "seed {seed}");
    }
}

#[test]
fn memory_is_copied_and_starts_as_nan() {
    let device = device(0);
    let mut buffer = Buffer::uninit(&device, 16);
    let mut values = [0.0f32; 4];
    buffer.download(0, &mut values);
    assert!(values.iter().all(|x| x.is_nan()));
    buffer.upload(4, &[1.0f32, 2.0]);
    let copy = buffer.clone();
    drop(buffer);
    copy.download(4, &mut values[..2]);
    assert_eq!(values[..2], [1.0, 2.0]);
}

#[test]
fn freed_memory_and_memory_of_another_device_are_refused() {
    let (one, other) = (Emulated { seed: 0, memory: Mutex::default() }, device(0));
    let freed = one.alloc(8).unwrap();
    one.free(freed);
    one.alloc(8).unwrap();
    assert!(one.download(freed, &mut [0; 8]).unwrap_err().0.starts_with("no allocation at"));
    let mut buffer = Buffer::uninit(&other, 8);
    assert!(one.upload(&[0; 8], buffer.pointer_mut().offset(1 << 20)).is_err());
}

#[test]
fn copies_past_an_end_are_refused() {
    let driver = Emulated { seed: 0, memory: Mutex::default() };
    let pointer = driver.alloc(8).unwrap();
    let error = driver.upload(&[0; 9], pointer).unwrap_err();
    assert_eq!(error.0, "bytes 0..9 of an allocation of 8 bytes");
    assert!(driver.download(pointer.offset(8), &mut [0; 1]).is_err());
}
