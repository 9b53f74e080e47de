//! Loss, center and gradients of all variants over four steps, against an f64 reference.

use crate::fixtures::{Fixture, fixture};
use crate::golden::{assert_near, size};
use dino::config::{Centering, DebyeTerms, Objective as Settings, PrototypeNorm};
use dino::objective::{Compared, Networks, Objective, Pairs, Sums};
use engine::{ParamTable, Params, Tensor};
use vit::{Head, HeadShape};

/// "mid, wide: loss 1e-5 relative, centre 2e-6 absolute + 1e-5 relative, gradients 1e-4 of the
/// largest entry. hard: loss rtol 2e-5, centre rtol 1e-5 + 2e-3 absolute, gradients 1e-3 of the
/// largest entry"
struct Tolerance {
    loss: f64,
    center: f64,
    gradients: f64,
}
const USUAL: Tolerance = Tolerance { loss: 1e-5, center: 2e-6, gradients: 1e-4 };
const HARD: Tolerance = Tolerance { loss: 2e-5, center: 2e-3, gradients: 1e-3 };
const CENTER_RELATIVE: f64 = 1e-5;

/// The settings that a case's name spells, such as `vmf_prob_a_t0`.
fn settings(case: &str, fixture: &Fixture) -> Settings {
    let centering = match case {
        _ if case.contains("prob_a") => Centering::ProbA,
        _ if case.contains("prob_b") => Centering::ProbB,
        _ => Centering::Logit,
    };
    let debye_terms = match case.rsplit('_').next() {
        Some("t0") => DebyeTerms::Terms(0),
        Some("t1") => DebyeTerms::Terms(1),
        Some("t2") => DebyeTerms::Terms(2),
        Some("t3") => DebyeTerms::Terms(3),
        _ => DebyeTerms::Exact,
    };
    let vmf = case.starts_with("vmf");
    let number = |key: &str| fixture.json["settings"][key].as_f64().expect("a number");
    Settings {
        prototype_norm: Some(if vmf { PrototypeNorm::Vmf } else { PrototypeNorm::Free }),
        centering: Some(centering),
        debye_terms: Some(debye_terms),
        student_temp: number("tau_s"),
        ..Settings::default()
    }
}

fn prototypes(head: &Head, table: &std::sync::Arc<ParamTable>, g: &[f32], v: &[f32]) -> Params {
    let mut params = Params::zeros(table.clone());
    params.view_mut(head.prototypes.g).host_mut().copy_from_slice(g);
    params.view_mut(head.prototypes.v).host_mut().copy_from_slice(v);
    params
}

fn check_case(fixture: &Fixture, case: &str, tolerance: &Tolerance) {
    let world = &fixture.json["world"];
    let (p, k, b) = (size(&world["p"]), size(&world["k"]), size(&world["b"]));
    let (crops, teacher_crops) =
        (size(&world["v"]), size(&fixture.json["settings"]["global_views"]));
    let mut table = ParamTable::default();
    let shape = HeadShape {
        embed_dim: 1,
        hidden_dim: 1,
        bottleneck_dim: p,
        prototypes: k,
        patch_prototypes: None,
        precision: engine::matmul::Precision::F32,
    };
    let head = Head::new(&shape, "", &mut table);
    let table = std::sync::Arc::new(table);
    let input = |name: &str| fixture.f32(&format!("in/{name}")).1;
    let student = prototypes(&head, &table, &input("g_s"), &input("v_s"));
    let teacher = prototypes(&head, &table, &input("g_t"), &input("v_t"));
    let objective = Objective::new(&settings(case, fixture), p);
    let momentum = fixture.json["settings"]["centre_momentum"].as_f64().expect("a number");
    let mut center = objective.initial_center(momentum, k);
    let expected = |name: &str, step: usize, len: usize| {
        let (_, values) = fixture.f64(&format!("{case}/{name}"));
        values[step * len..(step + 1) * len].to_vec()
    };
    let temps = fixture.json["settings"]["tau_t_per_step"].as_array().expect("temperatures");
    for (step, temp) in temps.iter().enumerate() {
        let temp = temp.as_f64().expect("a temperature");
        let student_y = Tensor::from_slice(&[crops * b, p], &input(&format!("y_s{step}")));
        let teacher_y = Tensor::from_slice(&[teacher_crops * b, p], &input(&format!("y_t{step}")));
        let pairs = Pairs::Views { student_crops: crops, teacher_crops };
        let rows = Compared { student: &student_y, teacher: &teacher_y, pairs };
        let prototypes = head.prototypes;
        let networks = Networks { prototypes, student: &student, teacher: &teacher };
        let terms = objective.step_vectors(&networks, &center, temp);
        let mut grads = Params::zeros(table.clone());
        let sums = Sums { grads: &mut grads, center: &mut center };
        let (outcome, dy) = objective.forward_backward(&networks, &rows, &terms, 1.0, sums);
        let loss = expected("loss", step, 1)[0];
        let name = |what: &str| format!("{case} step {step}: {what}");
        assert!(
            (outcome.loss - loss).abs() <= tolerance.loss * loss.abs(),
            "{}: {} for {loss}",
            name("loss"),
            outcome.loss
        );
        center.update(temp);
        for (i, (&c, e)) in
            center.values().host().iter().zip(expected("centre", step, k)).enumerate()
        {
            let allowed = tolerance.center + CENTER_RELATIVE * e.abs();
            assert!((f64::from(c) - e).abs() <= allowed, "{}[{i}] is {c}, not {e}", name("center"));
        }
        let near = |what: &str, actual: &[f32]| {
            let truth = expected(what, step, actual.len());
            assert_near(&name(what), actual, &truth, tolerance.gradients);
        };
        near("grad_y", dy.expect("a finite loss").host());
        near("grad_g", grads.view(head.prototypes.g).host());
        near("grad_v", grads.view(head.prototypes.v).host());
    }
}

fn check(name: &str) {
    let fixture = fixture(name);
    let tolerance = if fixture.json.get("hard").is_some() { HARD } else { USUAL };
    for case in fixture.json["cases"].as_array().expect("a list of cases") {
        check_case(&fixture, case.as_str().expect("a name"), &tolerance);
    }
}

#[goldens::test(loss_dino_mid)]
fn golden_losses_centers_and_gradients_of_every_variant() {
    check("loss_dino_mid");
}

#[goldens::test(loss_dino_wide)]
fn golden_losses_centers_and_gradients_with_many_prototypes() {
    check("loss_dino_wide");
}

#[goldens::test(loss_dino_hard)]
fn golden_losses_centers_and_gradients_of_extreme_norms() {
    check("loss_dino_hard");
}
