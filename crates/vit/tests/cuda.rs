//! A network on a CUDA device: forward and backward with all values in the device's memory, beside the CPU.
//!
//! The device is emulated, and counts its tests as ignored where there is no C++ compiler.

#![expect(clippy::print_stdout, reason = "the log of a test run says why tests were ignored")]

use engine::cuda::emulated;
use engine::matmul::Precision;
use engine::ops::patch_embed::Images;
use engine::{Device, Params, Tensor};
use libtest_mimic::{Arguments, Trial};
use rand::RngExt;
use streams::{Key, Purpose};
use vit::init;
use vit::{
    Crops, DropPlan, HeadShape, MlpKind, Network, Outputs, Patches, Recompute, Resampling, VitShape,
};

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

/// Two blocks with layer scale, registers and masked patches, and a head.
fn network(precision: Precision, recompute: Recompute) -> Network {
    let vit = VitShape {
        channels: 3,
        embed_dim: 24,
        depth: 2,
        heads: 2,
        mlp_hidden: 40,
        patch_size: 4,
        image_size: 12,
        resampling: Resampling::DINO,
        mlp: MlpKind::Gelu,
        norm_eps: 1e-6,
        layer_scale: Some(0.5),
        registers: 2,
        masked: true,
        precision,
        recompute,
    };
    let head = HeadShape {
        embed_dim: 24,
        hidden_dim: 20,
        bottleneck_dim: 8,
        prototypes: 5,
        patch_prototypes: None,
        precision,
    };
    Network::new(&vit, &head)
}

fn noise(len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(5, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Outputs, and gradients of all parameters, with the values in the memory of `device`.
fn run(network: &Network, device: &Device) -> [Vec<f32>; 3] {
    let params = init::draw(network, 7, 0.2).to(device);
    let mut grads = Params::zeros(network.table().clone()).to(device);
    let (large, small) = (noise(2 * 3 * 12 * 12, 0), noise(3 * 3 * 8 * 8, 1));
    let mask: Vec<bool> = (0..2 * 9).map(|i| i % 4 == 0).collect();
    let images = |count, side| Images { count, channels: 3, height: side, width: side };
    let mut crops = [Crops::new(&large, images(2, 12)), Crops::new(&small, images(3, 8))];
    crops[0].mask = Some(&mask);

    let plan = DropPlan::draw(0.3, 2, 5, Key::new(2, Purpose::Bench));
    let (y, saved) = network.forward(&params, &crops, Patches::Masked, &plan);
    assert_eq!((&y.cls.device(), &y.patches.device()), (device, device), "outputs");
    let gradient =
        |y: &Tensor, index| Tensor::from_slice(y.shape(), &noise(y.len(), index)).to(device);
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
