//! The projection head against an f64 reference: bottleneck, logits, gradients.

use crate::fixtures::{Fixture, fixture};
use crate::golden::{assert_near, load, size};
use engine::ops::tokens::{gather, scatter_add};
use engine::{Layout, ParamTable, Params, Tensor};
use vit::head::Prototypes;
use vit::{Head, HeadShape};

/// "logits 5e-6 … of the largest entry of the tensor"
const LOGITS: f64 = 5e-6;
/// "gradients 2e-5 of the largest entry of the tensor"
const GRADIENTS: f64 = 2e-5;

fn shape(fixture: &Fixture, split: bool) -> HeadShape {
    let dims = &fixture.json["dims"];
    HeadShape {
        embed_dim: size(&dims["in_dim"]),
        hidden_dim: size(&dims["hidden"]),
        bottleneck_dim: size(&dims["bottleneck"]),
        prototypes: size(&dims["out_dim"]),
        patch_prototypes: split.then(|| size(&fixture.json["patch_out_dim_split"])),
        precision: engine::matmul::Precision::F32,
    }
}

/// In `shared` and `split` the first token of each image meets one set of prototypes, all others
/// the second, or the same one again.
#[goldens::test(head)]
fn golden_bottleneck_logits_and_gradients() {
    let fixture = fixture("head");
    for case in ["free", "frozen", "shared", "split"] {
        let mut table = ParamTable::default();
        let head = Head::new(&shape(&fixture, case == "split"), "", &mut table);
        let params = load(&fixture, &format!("{case}/weights/"), table);
        let near = |name: &str, actual: &[f32], tolerance| {
            let name = format!("{case}/{name}");
            assert_near(&name, actual, &fixture.f64(&name).1, tolerance);
        };
        let (extents, x) = fixture.f32(&format!("{case}/input"));
        let width = extents[extents.len() - 1];
        let tokens = if extents.len() == 3 { extents[1] } else { 1 };
        let rows = x.len() / width;
        let (y, saved) = head.forward(&params, Tensor::from_slice(&[rows, width], &x));
        near("y", y.host(), LOGITS);
        let mut grads = Params::zeros(params.table().clone());
        let mut dy = Tensor::zeros(y.shape());
        let sets = [
            ("", head.prototypes, (0..rows).step_by(tokens).collect::<Vec<_>>()),
            ("_patch", head.patch_prototypes, (0..rows).filter(|i| i % tokens != 0).collect()),
        ];
        for (suffix, prototypes, picked) in sets.into_iter().filter(|set| !set.2.is_empty()) {
            let picked = Layout::of_rows(picked);
            let y = gather(&y, &picked);
            near(&format!("logits{suffix}"), head.logits(&params, prototypes, &y).host(), LOGITS);
            let (_, r) = fixture.f32(&format!("{case}/R{suffix}"));
            let part = linear_prototypes(prototypes, &params, &y, &r, &mut grads);
            scatter_add(&part, &picked, &mut dy);
        }
        let dx = head.backward(&params, saved, dy, &mut grads);
        near("grad_input", dx.host(), GRADIENTS);
        for entry in grads.table().entries() {
            if !(case == "frozen" && entry.name.ends_with("weight_g")) {
                near(&format!("grad/{}", entry.name), grads.view(entry.param).host(), GRADIENTS);
            }
        }
    }
}

/// The fixture's scalar is linear in the logits, `Σ l R`, where the program has only its objective:
/// the gradient of `l = g ⟨v, y⟩ / ‖v‖` in f64, by the formulas of the objective's documentation.
fn linear_prototypes(
    prototypes: Prototypes,
    params: &Params,
    y: &Tensor,
    r: &[f32],
    grads: &mut Params,
) -> Tensor {
    let (k, p) = (prototypes.count, y.width());
    let (g, v) =
        (params.view(prototypes.g).host().to_vec(), params.view(prototypes.v).host().to_vec());
    let mut dy = vec![0.0f64; y.len()];
    let [dg, dv] = grads.views_mut([prototypes.g, prototypes.v]);
    let (dg, dv) = (dg.into_host_mut(), dv.into_host_mut());
    for j in 0..k {
        let v = crate::golden::wide(&v[j * p..(j + 1) * p]);
        let (norm, g) = (v.iter().map(|v| v * v).sum::<f64>().sqrt(), f64::from(g[j]));
        for i in 0..y.rows() {
            let y = crate::golden::wide(&y.host()[i * p..(i + 1) * p]);
            let r = f64::from(r[i * k + j]);
            let cos = y.iter().zip(&v).map(|(y, v)| y * v).sum::<f64>() / norm;
            dg[j] += (r * cos) as f32;
            for c in 0..p {
                dy[i * p + c] += r * g * v[c] / norm;
                dv[j * p + c] += (r * g / norm * (y[c] - cos * v[c] / norm)) as f32;
            }
        }
    }
    let dy: Vec<f32> = dy.into_iter().map(|x| x as f32).collect();
    Tensor::from_slice(y.shape(), &dy)
}
