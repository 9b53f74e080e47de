use super::diagnostics::{Quantiles, UniquePrototypes};
use super::*;

/// ln K of 512 prototypes.
const LOG_K: f64 = 6.238_324_625_039_508;

fn monitor() -> Monitor {
    let (plateau_until, kappa, weight_norm) = (550, 10.0, 120.0);
    let limits = Limits { log_prototypes: LOG_K, plateau_until, kappa, weight_norm };
    Monitor::new(limits, remedy::all(&Config::default()))
}

/// The metrics of a healthy step on CIFAR-10.
const HEALTHY: [(Metric, f64); 8] = [
    (Metric::TeacherEntropy, 4.2),
    (Metric::Kl, 1.2),
    (Metric::AssignmentEntropy, 3.9),
    (Metric::FeatureStd, 0.8),
    (Metric::ImageAgreement, 0.5),
    (Metric::KappaMax, 10.2),
    (Metric::GradNorm, 0.8),
    (Metric::Momentum, 0.98),
];

fn metrics(values: impl IntoIterator<Item = (Metric, f64)>) -> Metrics {
    let mut metrics = Metrics::default();
    values.into_iter().for_each(|(metric, value)| metrics.add(metric, value));
    metrics
}

/// A healthy step but for these values.
fn changed(changes: &[(Metric, f64)]) -> Metrics {
    let change = |metric| changes.iter().find(|change| change.0 == metric).copied();
    metrics(HEALTHY.map(|(metric, value)| change(metric).unwrap_or((metric, value))))
}

fn healthy(_: u64) -> Metrics {
    metrics(HEALTHY)
}

fn diagnosis(step: u64) -> Diagnostics {
    let kappa = Quantiles { min: 9.0, q25: 9.5, median: 9.8, q75: 10.0, max: 10.2 };
    Diagnostics {
        step,
        kappa,
        center_drift: Some(0.1),
        prototypes_compared: 512,
        unique: UniquePrototypes { at_0_9: 500, at_0_95: 510, at_0_975: 512 },
        normalizer: None,
        rankme: 40.0,
        rankme_most: 128,
        teacher_distance: 0.017,
        weight_norm: 121.0,
    }
}

/// Feeds steps; the alarms that are raised or cleared.
fn feed(
    monitor: &mut Monitor,
    steps: std::ops::Range<u64>,
    metrics: impl Fn(u64) -> Metrics,
) -> Vec<Alarm> {
    steps.flat_map(|step| monitor.step(step, &metrics(step))).collect()
}

fn names(alarms: &[Alarm]) -> Vec<(u64, &'static str, bool)> {
    alarms.iter().map(|alarm| (alarm.step, alarm.kind.name(), alarm.raised)).collect()
}

/// Feeds healthy steps, then 400 with these changes: exactly one alarm is raised, and healthy steps clear it.
#[track_caller]
fn only_alarm(changes: &[(Metric, f64)]) -> Alarm {
    let mut monitor = monitor();
    assert_eq!(feed(&mut monitor, 1..600, healthy), []);
    let mut alarms = feed(&mut monitor, 600..1000, |_| changed(changes));
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
    // Noisy, sharper with time, and on the plateau for the first hundreds of steps.
    let alarms = feed(&mut monitor, 1..5000, |step| {
        let noise = (step * 7919 % 100) as f64 / 100.0;
        let sharp = (step as f64 / 2000.0).min(1.0);
        let teacher_entropy = if step < 400 { LOG_K } else { 5.0 - 4.0 * sharp + noise };
        changed(&[
            (Metric::TeacherEntropy, teacher_entropy),
            (Metric::Kl, if step < 400 { 0.01 } else { 1.0 + noise }),
            (Metric::AssignmentEntropy, 1.0 + noise),
            (Metric::FeatureStd, 0.2),
            (Metric::ImageAgreement, 0.1 + 0.3 * noise),
            (Metric::KappaMax, 10.0 + 50.0 * sharp),
            (Metric::GradNorm, if step % 90 < 5 { 300.0 } else { 0.4 + noise }),
        ])
    });
    assert_eq!(alarms, []);
    for step in (100..5000).step_by(100) {
        assert_eq!(monitor.diagnose(&diagnosis(step)), []);
    }
}

#[test]
fn features_that_do_not_depend_on_the_image_are_a_collapse() {
    let alarm = only_alarm(&[(Metric::ImageAgreement, 0.01)]);
    assert_eq!(alarm.kind, Kind::Feature);
    let found =
        "is 0.026 (collapsed below 0.03), and the spread of the teacher's vectors is 8.0e-1";
    assert!(alarm.cause.starts_with("collapsed: ") && alarm.found.contains(found), "{alarm:?}");
    let alarm = only_alarm(&[(Metric::FeatureStd, 1e-6)]);
    assert_eq!(alarm.kind, Kind::Feature);
    // From the first step on, this is known after 40 + 19 of them.
    let constant = |_| changed(&[(Metric::FeatureStd, 0.0), (Metric::ImageAgreement, 0.0)]);
    let alarms = feed(&mut monitor(), 1..200, constant);
    assert_eq!(names(&alarms), [(59, "feature-collapse", true)]);
}

#[test]
fn batches_of_one_image_raise_nothing() {
    let without = HEALTHY.into_iter().filter(|(metric, _)| *metric != Metric::ImageAgreement);
    assert_eq!(feed(&mut monitor(), 1..500, |_| metrics(without.clone())), []);
}

#[test]
fn metrics_without_values_raise_nothing() {
    assert_eq!(feed(&mut monitor(), 1..1000, |_| Metrics::default()), []);
}

#[test]
fn a_uniform_teacher_is_a_collapse_when_it_stays_or_returns() {
    let uniform = [(Metric::TeacherEntropy, 0.998 * LOG_K), (Metric::Kl, 0.001)];
    let alarm = only_alarm(&uniform);
    assert_eq!(alarm.kind, Kind::Uniform);
    assert!(alarm.found.contains("ln K = 6.238 nats"), "{}", alarm.found);
    let alarms = feed(&mut monitor(), 1..1000, |_| changed(&uniform));
    assert_eq!(names(&alarms), [(600, "uniform-collapse", true)]);
    // A student that is far from a uniform teacher has not collapsed.
    let far = [uniform[0], (Metric::Kl, 1.0)];
    assert_eq!(feed(&mut monitor(), 1..1000, |_| changed(&far)), []);
}

#[test]
fn a_single_prototype_is_a_collapse_and_sharp_assignments_are_not() {
    let sharp = [(Metric::TeacherEntropy, 1e-3), (Metric::Kl, 1e-3)];
    let alarm = only_alarm(&[sharp[0], sharp[1], (Metric::AssignmentEntropy, 0.0)]);
    assert_eq!(alarm.kind, Kind::OneHot);
    assert!(alarm.found.starts_with("1.0"), "{}", alarm.found);
    let several = [sharp[0], sharp[1], (Metric::AssignmentEntropy, 2.0)];
    assert_eq!(feed(&mut monitor(), 1..1000, |_| changed(&several)), []);
}

#[test]
fn prototypes_that_grow_explode_at_once() {
    let alarm = only_alarm(&[(Metric::KappaMax, 101.0)]);
    assert_eq!((alarm.kind, alarm.step), (Kind::Norms, 600));
    assert_eq!(alarm.found, "the largest κ is 101.0, and was 10.0 at the start");
}

#[test]
fn gradients_explode_beside_their_median_and_one_bad_batch_does_not() {
    let alarm = only_alarm(&[(Metric::GradNorm, 1e4)]);
    assert_eq!((alarm.kind, alarm.step), (Kind::Gradients, 609));
    let tiny = |step| changed(&[(Metric::GradNorm, if step < 500 { 1e-9 } else { 1e-3 })]);
    assert_eq!(feed(&mut monitor(), 1..1000, tiny), []);
}

#[test]
fn diagnoses_name_copies_and_grown_weights() {
    let good = diagnosis(0);
    let bad = [
        (
            Kind::Partial,
            Diagnostics {
                unique: UniquePrototypes { at_0_975: 255, ..good.unique },
                ..good.clone()
            },
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
    let alarm = only_alarm(&[(Metric::Momentum, 0.1)]);
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
    assert!(alarms[0].found.contains("is 1.0e-9 of the norm"), "{}", alarms[0].found);
    monitor.diagnose(&diagnosis(200));
    assert_eq!(names(&feed(&mut monitor, 201..301, healthy)), [(220, "aliased-teacher", false)]);
}

#[test]
fn every_alarm_has_a_name_of_its_own() {
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, i);
        assert_eq!(kind.ends_run(), kind != Kind::Partial);
        assert!(!kind.cause().is_empty());
        assert!(Kind::ALL.into_iter().filter(|other| other.name() == kind.name()).count() == 1);
    }
}
