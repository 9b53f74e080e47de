//! Both losses of iBOT and iBOT-vMF, their centers and gradients over four steps, and the masks,
//! against an f64 reference.

use crate::fixtures::{Fixture, fixture};
use crate::golden::{assert_near, number, size};
use dino::config::{MaskShape, Masking, Objective as Settings, PrototypeNorm};
use dino::masking::Masks;
use dino::objective::{Center, Compared, Networks, Objective, Pairs, Sums};
use engine::{ParamTable, Params, Tensor};
use vit::head::Prototypes;
use vit::{Head, HeadShape};

/// "loss 1e-5, centres 2e-6 + 1e-5 relative, gradients 1e-4 of the largest entry"
const LOSS: f64 = 1e-5;
const CENTER: (f64, f64) = (2e-6, 1e-5);
const GRADIENTS: f64 = 1e-4;

fn settings(case: &serde_json::Value) -> Settings {
    let vmf = case["vmf"].as_bool().expect("a flag");
    Settings {
        prototype_norm: Some(if vmf { PrototypeNorm::Vmf } else { PrototypeNorm::Free }),
        centering: Some(crate::golden::centering(&case["centering"])),
        debye_terms: Some(crate::golden::debye_terms(&case["terms"])),
        student_temp: number(&case["tau_s"]),
        ..Settings::default()
    }
}

/// Student and teacher of a case: the prototypes alone.
struct World<'a> {
    fixture: &'a Fixture,
    name: &'a str,
    head: Head,
    student: Params,
    teacher: Params,
}

impl<'a> World<'a> {
    fn new(fixture: &'a Fixture, name: &'a str) -> Self {
        let dims = &fixture.json["dims"];
        let shared = fixture.json["cases"][name]["shared"].as_bool().expect("a flag");
        let shape = HeadShape {
            embed_dim: 1,
            hidden_dim: 1,
            bottleneck_dim: size(&dims["p"]),
            prototypes: size(&dims["k"]),
            patch_prototypes: (!shared).then(|| size(&dims["k_patch_split"])),
            precision: engine::matmul::Precision::F32,
        };
        let mut table = ParamTable::default();
        let head = Head::new(&shape, "", &mut table);
        let table = std::sync::Arc::new(table);
        let load = |who: &str| {
            let mut params = Params::zeros(table.clone());
            let mut fill = |set: Prototypes, number: &str| {
                let input = |name: &str| fixture.f32(&format!("in/{name}{number}_{who}")).1;
                params.view_mut(set.g).host_mut().copy_from_slice(&input("g"));
                params.view_mut(set.v).host_mut().copy_from_slice(&input("v"));
            };
            fill(head.prototypes, "");
            if !shared {
                fill(head.patch_prototypes, "2");
            }
            params
        };
        let (student, teacher) = (load("s"), load("t"));
        Self { fixture, name, head, student, teacher }
    }

    fn input(&self, name: &str, step: usize) -> Tensor {
        let (shape, values) = self.fixture.f32(&format!("in/{name}{step}"));
        let width = shape[shape.len() - 1];
        Tensor::from_slice(&[values.len() / width, width], &values)
    }

    fn expected(&self, what: &str, step: usize) -> Vec<f64> {
        let (shape, values) = self.fixture.f64(&format!("{}/{what}", self.name));
        let len: usize = shape[1..].iter().product();
        values[step * len..(step + 1) * len].to_vec()
    }

    fn near(&self, what: &str, step: usize, actual: &[f32]) {
        let name = format!("{} step {step}: {what}", self.name);
        assert_near(&name, actual, &self.expected(what, step), GRADIENTS);
    }

    fn near_center(&self, what: &str, step: usize, center: &Center) {
        for (&c, e) in center.values().host().iter().zip(self.expected(what, step)) {
            let allowed = CENTER.0 + CENTER.1 * e.abs();
            assert!((f64::from(c) - e).abs() <= allowed, "{} {what}: {c} for {e}", self.name);
        }
    }

    fn near_loss(&self, what: &str, step: usize, loss: f64) {
        let expected = self.expected(what, step)[0];
        let error = (loss - expected).abs();
        assert!(error <= LOSS * expected.abs(), "{} {what}: {loss} for {expected}", self.name);
    }
}

/// The masked patches as teacher rows, and weights by the fixture's rule.
fn partners(mask: &[usize], crops: usize) -> (Vec<u32>, Vec<f32>) {
    let patches = mask.len() / crops;
    let masked: Vec<usize> = (0..mask.len()).filter(|&i| mask[i] == 1).collect();
    let of_crop = |crop: usize| masked.iter().filter(|&&i| i / patches == crop).count();
    let weight = |&i: &usize| (1.0 / of_crop(i / patches) as f64 / crops as f64) as f32;
    (masked.iter().map(|&i| i as u32).collect(), masked.iter().map(weight).collect())
}

fn check(world: &World<'_>) {
    let case = &world.fixture.json["cases"][world.name];
    let (p, views) =
        (world.head.shape().bottleneck_dim, size(&world.fixture.json["dims"]["views"]));
    let objective = Objective::new(&settings(case), p);
    let Head { prototypes, patch_prototypes, .. } = world.head;
    let mut center = objective.initial_center(number(&case["momentum"]), prototypes.count);
    let mut patch_center =
        objective.initial_center(number(&case["momentum_patch"]), patch_prototypes.count);
    let temps = |key: &str, step: usize| number(&world.fixture.json[key][step]);
    for step in 0..4 {
        let mut grads = Params::zeros(world.student.table().clone());
        let networks =
            |prototypes| Networks { prototypes, student: &world.student, teacher: &world.teacher };
        let mut term = |set, center: &mut Center, temp, rows: Compared<'_>, lambda: f64| {
            let terms = objective.step_vectors(&networks(set), center, temp);
            let sums = Sums { grads: &mut grads, center };
            let result = objective.forward_backward(&networks(set), &rows, &terms, lambda, sums);
            center.update(temp);
            (result.0.loss * lambda, result.1.expect("a finite loss"))
        };
        let (student, teacher) = (world.input("ycls_s", step), world.input("ycls_t", step));
        let pairs = Pairs::Views { teacher_crops: 2, student_crops: views };
        let rows = Compared { student: &student, teacher: &teacher, pairs };
        let (temp, lambda) = (temps("tau_t_cls", step), number(&case["lambda_cls"]));
        let (cls_loss, dy) = term(prototypes, &mut center, temp, rows, lambda);
        world.near_loss("loss_cls", step, cls_loss);
        world.near("grad_ycls", step, dy.host());

        let (shape, mask) = world.fixture.usize(&format!("in/mask{step}"));
        let (partners, weights) = partners(&mask, shape[0] * shape[1]);
        let (all, teacher) = (world.input("ypatch_s", step), world.input("ypatch_t", step));
        let masked: Vec<f32> =
            partners.iter().flat_map(|&i| all.host()[i as usize * p..][..p].to_vec()).collect();
        let student = Tensor::from_slice(&[partners.len(), p], &masked);
        let pairs = Pairs::Rows { teacher: &partners, weights: &weights };
        let rows = Compared { student: &student, teacher: &teacher, pairs };
        let (temp, lambda) = (temps("tau_t_patch", step), number(&case["lambda_patch"]));
        let (patch_loss, dy) = term(patch_prototypes, &mut patch_center, temp, rows, lambda);
        world.near_loss("loss_patch", step, patch_loss);
        world.near_loss("loss", step, cls_loss + patch_loss);
        let mut dy_all = vec![0.0; all.len()];
        for (&i, dy) in partners.iter().zip(dy.host().chunks_exact(p)) {
            dy_all[i as usize * p..][..p].copy_from_slice(dy);
        }
        world.near("grad_ypatch", step, &dy_all);

        world.near_center("centre", step, &center);
        world.near_center("centre_patch", step, &patch_center);
        world.near("grad_g", step, grads.view(prototypes.g).host());
        world.near("grad_v", step, grads.view(prototypes.v).host());
        if world.head.shape().patch_prototypes.is_some() {
            world.near("grad_g2", step, grads.view(patch_prototypes.g).host());
            world.near("grad_v2", step, grads.view(patch_prototypes.v).host());
        }
    }
}

#[goldens::test(loss_ibot)]
fn golden_losses_centers_and_gradients_of_ibot() {
    let fixture = fixture("loss_ibot");
    for case in crate::golden::keys(&fixture.json["cases"]) {
        check(&World::new(&fixture, &case));
    }
}

/// "with N samples of your own, every frequency f within 5 sqrt(f(1-f)(1/N + 1/20000)); mean ratio
/// within 5 std_ratio sqrt(1/N + 1/20000)"
#[goldens::test(masks)]
fn golden_frequencies_of_masks() {
    let fixture = fixture("masks");
    const SAMPLES: usize = 20_000;
    for name in crate::golden::keys(&fixture.json["cases"]) {
        let case = &fixture.json["cases"][&name];
        let list = |key: &str| -> Vec<f64> {
            case[key].as_array().expect("a list").iter().map(number).collect()
        };
        let grid = (size(&case["grid"][0]), size(&case["grid"][1]));
        let cells = grid.0 * grid.1;
        let masking = Masking {
            shape: MaskShape::Block,
            ratios: list("ratios"),
            spreads: list("spreads"),
            start_epoch: 0,
        };
        let images: Vec<usize> = (0..SAMPLES).collect();
        let masks = Masks { settings: masking, seed: 3, grid, crops: 1 }.draw(0, &images);
        let spread = 1.0 / SAMPLES as f64 + 1.0 / number(&case["samples"]);
        let near = |what: &str, found: f64, f: f64| {
            let allowed = 5.0 * (f * (1.0 - f) * spread).sqrt();
            assert!((found - f).abs() <= allowed, "{name}, {what}: {found} for {f} ± {allowed}");
        };
        let mut frequency = vec![0.0; cells];
        let mut histogram = vec![0.0; cells + 1];
        for mask in masks.chunks_exact(cells) {
            let masked = mask.iter().filter(|masked| **masked).count();
            histogram[masked] += 1.0 / SAMPLES as f64;
            for (frequency, _) in frequency.iter_mut().zip(mask).filter(|(_, masked)| **masked) {
                *frequency += 1.0 / SAMPLES as f64;
            }
        }
        for (i, f) in fixture.f64(&format!("{name}/cell_frequency")).1.into_iter().enumerate() {
            near(&format!("cell {i}"), frequency[i], f);
        }
        let counts = fixture.f64(&format!("{name}/count_histogram")).1;
        let total: f64 = counts.iter().sum();
        for (i, f) in counts.into_iter().enumerate().map(|(i, count)| (i, count / total)) {
            // Where the fixture never saw a count, we may have seen it a few times.
            let floor = 5.0 / SAMPLES as f64;
            near(
                &format!("count {i}"),
                histogram[i],
                if f == 0.0 { histogram[i].min(floor) } else { f },
            );
        }
        near("unmasked", histogram[0], number(&case["unmasked_share"]));
        let mean: f64 = frequency.iter().sum::<f64>() / cells as f64;
        let allowed = 5.0 * number(&case["std_ratio"]) * spread.sqrt();
        let expected = number(&case["mean_ratio"]);
        assert!((mean - expected).abs() <= allowed, "{name}: {mean} for {expected} ± {allowed}");
    }
}
