//! A network on a CUDA device: forward and backward with all values in the device's memory, beside the CPU.
//!
//! The device is emulated, and counts its tests as ignored where there is no C++ compiler.

#![expect(clippy::print_stdout, reason = "the log of a test run says why tests were ignored")]

mod small;

use engine::cuda::emulated;
use engine::matmul::Precision;
use engine::{Device, Params, Tensor};
use libtest_mimic::{Arguments, Trial};
use small::{Noise, noise};
use streams::{Key, Purpose};
use vit::{DropPlan, Network, Outputs, Patches, Recompute, VitShape, init};

fn main() {
    let is_available = emulated::is_available();
    if !is_available {
        println!("tests on the emulated device are ignored: no C++ compiler (set CXX)");
    }
    let cases = [
        ("f32", Precision::F32, Recompute::None, 1e-5),
        ("f32_with_recomputed_hidden_layers", Precision::F32, Recompute::Light, 1e-5),
        ("f32_with_recomputed_blocks", Precision::F32, Recompute::Blocks, 1e-5),
        // Values of the last bit that differ round to different values of 8 bits.
        ("bf16", Precision::Bf16, Recompute::None, 2e-2),
    ];
    let trials = cases.map(|(name, precision, recompute, tolerance)| {
        let run = move || {
            compare(precision, recompute, tolerance);
            Ok(())
        };
        Trial::test(format!("two_layers_compute_what_they_do_on_the_cpu::{name}"), run)
            .with_ignored_flag(!is_available)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

const SEED: u64 = 5;

/// The small network with layer scale and registers.
fn network(precision: Precision, recompute: Recompute) -> Network {
    small::network(&VitShape {
        mlp_hidden: 40,
        layer_scale: Some(0.5),
        registers: 2,
        precision,
        recompute,
        ..small::shape()
    })
}

/// Outputs, and gradients of all parameters, with the values in the memory of `device`.
fn run(network: &Network, device: &Device) -> [Vec<f32>; 3] {
    let params = init::draw(network, 7, 0.2).to(device);
    let mut grads = Params::zeros(network.table().clone()).to(device);
    let images = Noise::new(SEED);
    let plan = DropPlan::draw(0.3, 2, 5, Key::new(2, Purpose::Bench));
    let (y, saved) = network.forward(&params, &images.crops(), Patches::Masked, &plan);
    assert_eq!((&y.cls.device(), &y.patches.device()), (device, device), "outputs");
    let gradient =
        |y: &Tensor, index| Tensor::from_slice(y.shape(), &noise(SEED, y.len(), index)).to(device);
    let dy = Outputs { cls: gradient(&y.cls, 2), patches: gradient(&y.patches, 3) };
    network.backward(&params, saved, &dy, &mut grads);
    assert_eq!(&grads.device(), device, "gradients");
    [&y.cls, &y.patches, grads.whole()].map(|x| x.on_host().host().to_vec())
}

/// Differences are at most `tolerance` of the largest value.
fn compare(precision: Precision, recompute: Recompute, tolerance: f32) {
    let network = network(precision, recompute);
    let expected = run(&network, &Device::Cpu);
    let actual = run(&network, &Device::Cuda(emulated::device(1)));
    for (name, (actual, expected)) in
        ["cls", "patches", "gradients"].iter().zip(actual.iter().zip(&expected))
    {
        let largest = expected.iter().fold(0.0f32, |top, x| top.max(x.abs()));
        assert!(largest > 0.0, "{name} are zero");
        for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
            let difference = (a - e).abs();
            assert!(
                difference <= tolerance * largest,
                "value {i} of {name} is {a}, on the CPU {e}, where the largest is {largest}"
            );
        }
    }
}
