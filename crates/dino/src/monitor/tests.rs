use super::diagnostics::{Quantiles, Unique};
use super::*;

/// ln K of 512 prototypes.
const LOG_K: f64 = 6.238_324_625_039_508;

fn monitor() -> Monitor {
    let (plateau_until, kappa, weight_norm) = (550, 10.0, 120.0);
    Monitor::new(Limits { log_prototypes: LOG_K, plateau_until, kappa, weight_norm })
}

/// What a healthy step of CIFAR-10 says.
fn healthy(step: u64) -> Reading {
    Reading {
        step,
        teacher_entropy: 4.2,
        kl: 1.2,
        assignment_entropy: 3.9,
        feature_std: 0.8,
        image_agreement: Some(0.5),
        kappa_max: 10.2,
        grad_norm: 0.8,
        momentum: 0.98,
    }
}

fn diagnosis(step: u64) -> Diagnostics {
    let kappa = Quantiles { min: 9.0, q25: 9.5, median: 9.8, q75: 10.0, max: 10.2 };
    Diagnostics {
        step,
        kappa,
        center_drift: Some(0.1),
        prototypes_compared: 512,
        unique: Unique { at_0_9: 500, at_0_95: 510, at_0_975: 512 },
        rankme: 40.0,
        rankme_most: 128,
        teacher_distance: 0.017,
        weight_norm: 121.0,
    }
}

/// Feeds steps; the alarms that start or end.
fn feed(
    monitor: &mut Monitor,
    steps: std::ops::Range<u64>,
    reading: impl Fn(u64) -> Reading,
) -> Vec<Alarm> {
    steps.flat_map(|step| monitor.step(&reading(step))).collect()
}

fn names(alarms: &[Alarm]) -> Vec<(u64, &'static str, bool)> {
    alarms.iter().map(|alarm| (alarm.step, alarm.kind.name(), alarm.raised)).collect()
}

/// Feeds healthy steps, then 400 of these: exactly one alarm comes, and it goes with healthy steps.
#[track_caller]
fn only_alarm(reading: impl Fn(Reading) -> Reading) -> Alarm {
    let mut monitor = monitor();
    assert_eq!(feed(&mut monitor, 1..600, healthy), []);
    let mut alarms = feed(&mut monitor, 600..1000, |step| reading(healthy(step)));
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let alarm = alarms.remove(0);
    assert!(alarm.raised && monitor.active() == [alarm.kind], "{alarm:?}");
    let cleared = feed(&mut monitor, 1000..1400, healthy);
    assert_eq!(cleared.len(), 1, "{cleared:?}");
    assert!(!cleared[0].raised && cleared[0].kind == alarm.kind, "{cleared:?}");
    assert_eq!(monitor.active(), []);
    alarm
}

#[test]
fn a_healthy_run_raises_nothing() {
    let mut monitor = monitor();
    // Noisy, sharper with time, and at rest on the plateau for the first hundreds of steps.
    let alarms = feed(&mut monitor, 1..5000, |step| {
        let noise = (step * 7919 % 100) as f64 / 100.0;
        let sharp = (step as f64 / 2000.0).min(1.0);
        let teacher_entropy = if step < 400 { LOG_K } else { 5.0 - 4.0 * sharp + noise };
        Reading {
            teacher_entropy,
            kl: if step < 400 { 0.01 } else { 1.0 + noise },
            assignment_entropy: 1.0 + noise,
            feature_std: 0.2,
            image_agreement: Some(0.1 + 0.3 * noise),
            kappa_max: 10.0 + 50.0 * sharp,
            grad_norm: if step % 90 < 5 { 300.0 } else { 0.4 + noise },
            ..healthy(step)
        }
    });
    assert_eq!(alarms, []);
    for step in (100..5000).step_by(100) {
        assert_eq!(monitor.diagnose(&diagnosis(step)), []);
    }
}

#[test]
fn images_that_do_not_matter_are_a_collapse() {
    let alarm = only_alarm(|healthy| Reading { image_agreement: Some(0.01), ..healthy });
    assert_eq!(alarm.kind, Kind::Feature);
    assert!(alarm.cause.starts_with("collapsed: ") && alarm.found.contains("agree by 0.0"));
    let alarm = only_alarm(|healthy| Reading { feature_std: 1e-6, ..healthy });
    assert_eq!(alarm.kind, Kind::Feature);
    // From the first step on, this is known after 40 + 19 of them.
    let constant = |step| Reading { feature_std: 0.0, image_agreement: Some(0.0), ..healthy(step) };
    let alarms = feed(&mut monitor(), 1..200, constant);
    assert_eq!(names(&alarms), [(59, "feature-collapse", true)]);
}

#[test]
fn a_single_image_is_not_told_from_others_and_raises_nothing() {
    let alone = |step| Reading { image_agreement: None, ..healthy(step) };
    assert_eq!(feed(&mut monitor(), 1..500, alone), []);
}

#[test]
fn a_uniform_teacher_is_a_collapse_when_it_stays_or_returns() {
    let uniform = |healthy| Reading { teacher_entropy: 0.998 * LOG_K, kl: 0.001, ..healthy };
    let alarm = only_alarm(uniform);
    assert_eq!(alarm.kind, Kind::Uniform);
    assert!(alarm.found.contains("of ln K = 6.238 nats"), "{}", alarm.found);
    let alarms = feed(&mut monitor(), 1..1000, |step| uniform(healthy(step)));
    assert_eq!(names(&alarms), [(600, "uniform-collapse", true)]);
    // A student that is far from a uniform teacher has not collapsed.
    let far = |step| Reading { kl: 1.0, ..uniform(healthy(step)) };
    assert_eq!(feed(&mut monitor(), 1..1000, far), []);
}

#[test]
fn a_single_prototype_is_a_collapse_and_sharp_assignments_are_not() {
    let one = Reading { teacher_entropy: 1e-3, kl: 1e-3, assignment_entropy: 0.0, ..healthy(0) };
    let alarm = only_alarm(|healthy| Reading { step: healthy.step, ..one });
    assert_eq!(alarm.kind, Kind::OneHot);
    assert!(alarm.found.starts_with("1.0"), "{}", alarm.found);
    let sharp = |step| Reading { step, assignment_entropy: 2.0, ..one };
    assert_eq!(feed(&mut monitor(), 1..1000, sharp), []);
}

#[test]
fn prototypes_that_grow_explode_at_once() {
    let alarm = only_alarm(|healthy| Reading { kappa_max: 101.0, ..healthy });
    assert_eq!((alarm.kind, alarm.step), (Kind::Norms, 600));
    assert_eq!(alarm.found, "the largest κ is 101.0, 10.0 at the start");
}

#[test]
fn gradients_explode_beside_their_median_and_one_bad_batch_does_not() {
    let alarm = only_alarm(|healthy| Reading { grad_norm: 1e4, ..healthy });
    assert_eq!((alarm.kind, alarm.step), (Kind::Gradients, 609));
    let tiny = |step| Reading { grad_norm: if step < 500 { 1e-9 } else { 1e-3 }, ..healthy(step) };
    assert_eq!(feed(&mut monitor(), 1..1000, tiny), []);
}

#[test]
fn diagnoses_name_copies_and_grown_weights() {
    let good = diagnosis(0);
    let bad = [
        (
            Kind::Partial,
            Diagnostics { unique: Unique { at_0_975: 255, ..good.unique }, ..good.clone() },
        ),
        (Kind::Weights, Diagnostics { weight_norm: 1201.0, ..good.clone() }),
    ];
    for (kind, bad) in bad {
        let mut monitor = monitor();
        feed(&mut monitor, 1..100, healthy);
        let at = |step, found: &Diagnostics| Diagnostics { step, ..found.clone() };
        assert_eq!(monitor.diagnose(&at(100, &bad)), []);
        assert_eq!(monitor.diagnose(&at(200, &good)), []);
        assert_eq!(monitor.diagnose(&at(300, &bad)), []);
        assert_eq!(names(&monitor.diagnose(&at(400, &bad))), [(400, kind.name(), true)]);
        assert_eq!(monitor.diagnose(&at(500, &bad)), []);
        assert_eq!(monitor.active(), [kind]);
        assert_eq!(monitor.diagnose(&at(600, &good)), []);
        assert_eq!(names(&monitor.diagnose(&at(700, &good))), [(700, kind.name(), false)]);
    }
}

#[test]
fn a_teacher_less_than_a_step_behind_is_the_student() {
    let alarm = only_alarm(|healthy| Reading { momentum: 0.1, ..healthy });
    assert_eq!((alarm.kind, alarm.step), (Kind::Aliased, 619));
    assert_eq!(alarm.found, "the teacher's momentum is 0.100");
}

#[test]
fn a_teacher_with_the_weights_of_the_student_is_the_student() {
    let mut monitor = monitor();
    assert_eq!(feed(&mut monitor, 1..101, healthy), []);
    assert_eq!(monitor.diagnose(&Diagnostics { teacher_distance: 1e-9, ..diagnosis(100) }), []);
    let alarms = feed(&mut monitor, 101..201, healthy);
    assert_eq!(names(&alarms), [(120, "aliased-teacher", true)]);
    assert!(alarms[0].found.contains("it is 1.0e-9 of"), "{}", alarms[0].found);
    monitor.diagnose(&diagnosis(200));
    assert_eq!(names(&feed(&mut monitor, 201..301, healthy)), [(220, "aliased-teacher", false)]);
}

#[test]
fn every_alarm_has_a_name_of_its_own() {
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, i);
        assert_eq!(kind.ends_run(), kind != Kind::Partial);
        assert!(!kind.cause().is_empty() && !kind.remedy().is_empty());
        assert!(Kind::ALL.into_iter().filter(|other| other.name() == kind.name()).count() == 1);
    }
}
