use super::*;
use crate::testing::assert_close;

const OLD: [f32; 3] = [-1.0, 0.5, -20.0];
const SUMS: [f32; 3] = [-3.0, -700.0, -0.5];

fn updated(momentum: f64, rule: Rule) -> Vec<f32> {
    let mut center = Tensor::from_slice(&[3], &OLD);
    update(&mut center, &Tensor::from_slice(&[3], &SUMS), 4, momentum, rule);
    center.host().to_vec()
}

#[test]
fn every_rule_is_its_definition() {
    let pairs = || OLD.iter().zip(&SUMS).map(|(&c, &sum)| (f64::from(c), f64::from(sum)));
    let scores: Vec<f64> = pairs().map(|(c, sum)| 0.9 * c + 0.1 * 0.04 * sum / 4.0).collect();
    assert_close(&updated(0.9, Rule::MeanOfScores(0.04)), &scores, 0.0, 1e-7);
    let logs: Vec<f64> = pairs().map(|(c, sum)| 0.9 * c + 0.1 * (sum - 4f64.ln())).collect();
    assert_close(&updated(0.9, Rule::MeanOfLogs), &logs, 0.0, 1e-7);
    let means = pairs().map(|(c, sum)| (0.9 * c.exp() + 0.1 * sum.exp() / 4.0).ln());
    assert_close(&updated(0.9, Rule::LogOfMeans), &means.collect::<Vec<_>>(), 0.0, 1e-7);
}

#[test]
fn both_forms_of_probabilities_agree_without_memory() {
    assert_eq!(updated(0.0, Rule::MeanOfLogs), updated(0.0, Rule::LogOfMeans));
}

#[test]
fn a_center_of_logits_is_divided_by_the_temperature() {
    let divided = divided(&Tensor::from_slice(&[2], &[0.02, -1.0]), 0.04);
    assert_close(divided.host(), &[f64::from(0.02f32) / 0.04, -25.0], 0.0, 1e-7);
}
