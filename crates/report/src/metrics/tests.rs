use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::MetricsWriter;

#[test]
fn values_of_micro_batches_are_reduced_by_the_rule_of_their_metric() {
    let mut metrics = Metrics::default();
    for (share, loss, memory, speed, lr) in
        [(0.25, 4.0, 7.0, 10.0, 0.1), (0.75, 8.0, 5.0, 20.0, 0.2)]
    {
        metrics.add(Metric::Loss, share * loss);
        metrics.add(Metric::MemoryMib, memory);
        metrics.add(Metric::ImagesPerSecond, speed);
        metrics.add(Metric::Lr, lr);
    }
    assert_eq!(metrics.get(Metric::Loss), Some(7.0));
    assert_eq!(metrics.get(Metric::MemoryMib), Some(7.0));
    assert_eq!(metrics.get(Metric::ImagesPerSecond), Some(30.0));
    assert_eq!(metrics.get(Metric::Lr), Some(0.2));
    assert_eq!(metrics.get(Metric::PatchLoss), None);
    assert!(metrics.value(Metric::PatchLoss).is_nan());
}

#[test]
fn keys_are_written_in_the_order_of_the_table_and_counts_as_integers() {
    let mut metrics = Metrics::default();
    metrics.add(Metric::PrototypesInUse, 12.0);
    metrics.add(Metric::Momentum, 1.0);
    metrics.add(Metric::Epoch, 3.0);
    metrics.add(Metric::Kl, f64::NAN);
    let text = serde_json::to_string(&metrics).unwrap();
    assert_eq!(text, r#"{"epoch":3,"kl":null,"prototypes_in_use":12,"momentum":1.0}"#);
}

#[test]
fn every_metric_has_a_key_of_its_own() {
    for metric in Metric::ALL {
        let same = Metric::ALL.iter().filter(|other| other.key() == metric.key()).count();
        assert_eq!(same, 1, "{metric:?}");
    }
}

#[test]
fn the_documents_have_every_metric() {
    let row = |metric: &Metric| {
        let (key, group, unit) = (metric.key(), metric.group().name(), metric.unit().text());
        format!("| `{key}` | {group} | {unit} | {} |\n", metric.meaning())
    };
    let table: String = Metric::ALL.iter().map(row).collect();
    let documented = include_str!("../../../../docs/metrics.md");
    assert!(documented.contains(&table), "docs/metrics.md needs this table:\n{table}");
}

#[test]
fn lines_hold_the_step_and_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut metrics = MetricsWriter::open(folder.path(), 0).unwrap();
    metrics.write(1, &json!({"loss": 1.5})).unwrap();
    metrics.write(2, &json!({"loss": f64::NAN})).unwrap();
    let text = fs::read_to_string(folder.path().join(MetricsWriter::FILE)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [json!({"step": 1, "loss": 1.5}), json!({"step": 2, "loss": null})]);
}
