//! Schedules against numpy's, from the golden fixture `schedules`.

use dino::config::Config;
use dino::plan::{Facts, Plan};
use dino::schedule::Schedules;
use serde_json::Value;

/// Fixture: "1e-15 absolute + 1e-14 relative (float64)".
const ABSOLUTE: f64 = 1e-15;
const RELATIVE: f64 = 1e-14;

fn assert_close(name: &str, found: impl Iterator<Item = f64>, expected: &[f64]) {
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), expected.len(), "{name}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let tolerance = ABSOLUTE + RELATIVE * expected.abs();
        let difference = (found - expected).abs();
        assert!(difference <= tolerance, "{name}[{i}]: {found} is not {expected}");
    }
}

fn plan(plan: &Value) -> Plan {
    let number = |key: &str| plan[key].as_f64().expect("a number");
    let mut config = Config::default();
    config.optim.epochs = Some(number("epochs"));
    config.optim.batch_size = number("batch") as usize;
    config.optim.lr = number("lr");
    config.optim.min_lr = number("min_lr");
    config.optim.warmup_epochs = number("warmup_epochs");
    config.optim.weight_decay = number("wd");
    config.optim.weight_decay_end = number("wd_end");
    config.optim.teacher_momentum = number("momentum");
    config.optim.freeze_last_layer_epochs = number("freeze_last");
    config.objective.teacher_temp_start = number("temp_first");
    config.objective.teacher_temp = number("temp_last");
    config.objective.teacher_temp_warmup_epochs = number("temp_warmup");
    config.objective.patch_temp_start = number("patch_temp_first");
    config.objective.patch_temp = number("patch_temp_last");
    config.masking.start_epoch = number("patch_temp_delay") as u64;
    let images = config.optim.batch_size * number("per_epoch") as usize;
    let plan = Plan::new(&config, &Facts::of_images(images)).expect("enough images");
    assert!(plan.warnings.is_empty());
    plan
}

#[goldens::test(schedules)]
fn golden_schedules_are_numpys() {
    let fixture = crate::fixtures::fixture("schedules");
    for (name, plan) in fixture.json["plans"].as_object().unwrap() {
        let schedules = &self::plan(plan).schedules;
        let horizon = schedules.horizon;
        let steps = 0..horizon.total_steps;
        let epochs = plan["epochs"].as_u64().unwrap();
        let per_step = |value: fn(&Schedules, u64) -> f64| {
            steps.clone().map(move |step| value(schedules, step))
        };
        let expected = |tensor: &str| fixture.f64(&format!("{name}/{tensor}")).1;
        assert_close(name, per_step(|s, step| s.at(step).lr), &expected("lr"));
        assert_close(name, per_step(|s, step| s.at(step).weight_decay), &expected("wd"));
        assert_close(name, per_step(|s, step| s.at(step).momentum), &expected("momentum"));
        let first_step = |epoch| epoch * horizon.steps_per_epoch;
        let temps = (0..epochs).map(|epoch| schedules.at(first_step(epoch)).teacher_temp);
        assert_close(name, temps, &expected("temp"));
        let frozen = steps.clone().filter(|step| schedules.at(*step).freeze_last_layer).count();
        let freeze_epochs = plan["freeze_last"].as_u64().unwrap();
        assert_eq!(frozen as u64, first_step(freeze_epochs));
        let temps = (0..epochs).map(|epoch| schedules.at(first_step(epoch)).patch_temp);
        assert_close(name, temps, &expected("patch_temp"));
    }
}
