//! Provokes each alarm. Stderr, the JSON lines and `metrics.jsonl` must report it.

use std::fs;

use crate::fixtures::{Ended, Tiny};
use serde_json::Value;

/// Names of the raised alarms, in order.
fn raised(ended: &Ended) -> Vec<String> {
    let events = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let alarms = events.filter(|event| event["event"] == "alarm" && event["raised"] == true);
    alarms.map(|alarm| alarm["name"].as_str().unwrap().to_owned()).collect()
}

/// Trains on `shapes` with these settings. Returns the output and the raised alarms.
fn train(steps: &str, sets: &[&str]) -> (Ended, Vec<String>) {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let more = ["--steps", steps, "--out", "run", "--json", "--method", "dino"];
    let ended = Tiny::new().pretrain(&more.into_iter().chain(sets).collect::<Vec<_>>()).code(0);
    let raised = raised(&ended);
    (ended, raised)
}

/// Writes 64 copies of one image.
fn copies(tiny: &Tiny) {
    fs::create_dir(tiny.path("same")).unwrap();
    let picture = image::RgbImage::from_fn(48, 48, |x, y| {
        let hash = (x * 7919 + y * 104_729 + x * y * 31) % 256;
        image::Rgb([hash as u8, (x * 5) as u8, (y * 5) as u8])
    });
    for i in 0..64 {
        picture.save(tiny.path(&format!("same/{i:02}.png"))).unwrap();
    }
}

#[test]
fn identical_images_raise_feature_collapse() {
    for method in ["dino", "dino-vmf", "ibot"] {
        let tiny = Tiny::new();
        copies(&tiny);
        let more = ["--data", "same", "--steps", "150", "--out", "run", "--json"];
        let batch = ["--method", method, "--set", "optim.batch_size=32"];
        let ended = tiny.pretrain(&[&more[..], &batch].concat()).code(0);
        assert_eq!(raised(&ended), ["feature-collapse"], "{method}");
        let ended = ended.says("warning: feature-collapse at step ").says("; collapsed: ");
        let ended = ended.says("dino-vmf data preview SOURCE");
        ended.says("step 150/150  feature-collapse!");
        let lines = fs::read_to_string(tiny.path("run/metrics.jsonl")).unwrap();
        let alarms: Vec<&str> = lines.lines().filter(|line| line.contains("alarm")).collect();
        assert_eq!(alarms.len(), 1, "{alarms:?}");
        let alarm: Value = serde_json::from_str(alarms[0]).unwrap();
        assert_eq!(alarm["alarm"]["name"], "feature-collapse");
        assert_eq!(alarm["alarm"]["step"], alarm["step"]);
    }
}

#[test]
fn stop_saves_and_ends_the_run_and_a_resumed_run_can_continue() {
    let tiny = Tiny::new();
    copies(&tiny);
    let more = ["--data", "same", "--steps", "150", "--out", "run", "--on-collapse", "stop"];
    let ended = tiny.pretrain(&[&more[..], &["--set", "optim.batch_size=32"]].concat()).code(1);
    let error = ended.stderr.lines().find(|line| line.starts_with("error: ")).unwrap().to_owned();
    assert!(error.starts_with("error: feature-collapse at step "), "{error}");
    assert!(error.contains("; collapsed: ") && error.contains("or start again with"), "{error}");
    let (_, path) = error.rsplit_once("; saved as `").unwrap();
    assert!(tiny.path(path.trim_end_matches('`')).join("model.safetensors").is_file(), "{error}");
    let ended = ended.says("hint: `--resume run --on-collapse warn` goes on");
    assert!(!ended.stderr.contains("step 150/150"), "{}", ended.stderr);
    tiny.run(&["pretrain", "--resume", "run", "--on-collapse", "warn"])
        .code(0)
        .says("resuming after step ")
        .says("step 150/150");
}

#[test]
fn a_high_teacher_temperature_raises_uniform_collapse() {
    let hot = ["objective.teacher_temp=20", "objective.teacher_temp_start=20"];
    let (ended, alarms) = train("300", &[&hot[..], &["objective.student_temp=1"]].concat());
    assert_eq!(alarms, ["uniform-collapse"]);
    ended.says("ln K = 3.466 nats").says("objective.teacher_temp=…");
}

#[test]
fn a_center_that_is_never_updated_raises_one_hot_collapse() {
    let (ended, alarms) = train("150", &["objective.center_momentum=1"]);
    assert_eq!(alarms, ["one-hot-collapse"]);
    ended.says("objective.center_momentum=0.5").says("one-hot-collapse!");
}

#[test]
fn a_teacher_without_momentum_raises_aliased_teacher() {
    let (ended, alarms) = train(
        "60",
        &[
            "optim.teacher_momentum=0",
            "optim.teacher_momentum_end=0",
            "run.diagnose_every_steps=10",
        ],
    );
    assert_eq!(alarms, ["aliased-teacher"]);
    ended.says("is 0.0e0 of the norm of the weights").says("optim.teacher_momentum=0.996");
}

#[test]
fn a_large_learning_rate_raises_exploding_norms_and_weights() {
    let free = ["objective.method=dino", "objective.prototype_norm=free"];
    let long = ["optim.lr=200", "optim.clip_grad=0", "run.diagnose_every_steps=5"];
    // The student must be much sharper than it can be with prototype norms of 1.
    let sharp = ["student_temp=1", "teacher_temp=0.001", "teacher_temp_start=0.001"];
    let sharp = sharp.map(|set| format!("objective.{set}"));
    let sharp: Vec<&str> = sharp.iter().map(String::as_str).collect();
    let sets = [&free[..], &long, &sharp, &["objective.center_momentum=1"]].concat();
    let sets: Vec<_> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let more = ["--steps", "12", "--out", "run", "--json"];
    let ended = Tiny::new().pretrain(&[&more[..], &sets].concat()).code(0);
    let alarms = raised(&ended);
    for name in ["exploding-norms", "exploding-weights"] {
        assert!(alarms.iter().any(|alarm| alarm == name), "{alarms:?}");
    }
    ended.says("objective.prototype_norm=vmf").says("optim.clip_grad=0.3");
}

/// For 27 epochs of 8 steps the teacher is uniform. A student with free norms learns to be uniform too, so
/// its gradients become small. Then the teacher becomes sharp from one step to the next.
#[test]
fn a_teacher_that_becomes_sharp_at_once_raises_exploding_gradients() {
    let tiny = Tiny::new();
    copies(&tiny);
    let teacher =
        ["teacher_temp_start=10000", "teacher_temp=0.001", "teacher_temp_warmup_epochs=28"];
    let student = ["method=dino", "prototype_norm=free", "student_temp=0.02"];
    let objective = teacher.iter().chain(&student).map(|set| format!("objective.{set}"));
    let optim = ["teacher_momentum=1", "weight_decay=0", "weight_decay_end=0", "lr=1"];
    let sets: Vec<_> = objective.chain(optim.map(|set| format!("optim.{set}"))).collect();
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let more = ["--data", "same", "--steps", "230", "--out", "run", "--json", "--seed", "3"];
    let ended = tiny.pretrain(&more.into_iter().chain(sets).collect::<Vec<_>>()).code(0);
    assert!(raised(&ended).contains(&"exploding-gradients".to_owned()), "{:?}", raised(&ended));
    ended.says("and its median was").says("optim.clip_grad=0.3").says("exploding-gradients!");
}

/// In two dimensions, at most 28 of 256 prototypes are unique at a cosine distance of 0.025.
#[test]
fn too_many_prototypes_in_two_dimensions_raise_partial_collapse() {
    let sets = [
        "model.bottleneck_dim=2",
        "model.prototypes=256",
        "run.diagnose_every_steps=10",
        "run.on_collapse=stop", // not on this alarm
    ];
    let (ended, alarms) = train("30", &sets);
    assert_eq!(alarms, ["partial-collapse"]);
    let diagnoses = ended.stdout.lines().filter(|line| line.contains("\"event\":\"diagnostics\""));
    let diagnoses: Vec<Value> = diagnoses.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(diagnoses.len(), 3);
    let unique = diagnoses[1]["unique"]["at_0_975"].as_u64().unwrap();
    assert!((14..=28).contains(&unique), "{unique}");
    assert_eq!(diagnoses[1]["prototypes_compared"], 256);
    // 16 vectors of width 2
    let rankme = diagnoses[1]["rankme"].as_f64().unwrap();
    assert!((1.0..2.001).contains(&rankme) && diagnoses[1]["rankme_most"] == 2, "{rankme}");
    ended.says("objective.lambda_koleo=0.1").says("step 30/30  partial-collapse!");
}
