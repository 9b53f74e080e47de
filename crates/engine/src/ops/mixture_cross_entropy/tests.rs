use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// Prototypes whose bias is `bias + slope · (g − g₀)`: a function of `g`, as a normalizer is.
#[derive(Clone)]
struct Network {
    g: Tensor,
    v: Tensor,
    bias: Vec<f32>,
    slope: Vec<f32>,
    temperature: f32,
}

impl Network {
    fn random(seed: u64, k: usize, r: usize, temperature: f32) -> Self {
        let part = |i: u64, len: usize| randoms(seed + i, len);
        let g: Vec<f32> = part(0, k).iter().map(|x| 1.0 + 0.5 * x).collect();
        let (g, v) = (Tensor::from_slice(&[k, 1], &g), random_tensor(seed + 1, &[k, r]));
        Self { g, v, bias: part(2, k), slope: part(3, k), temperature }
    }

    fn prototypes(&self) -> Prototypes<'_> {
        let (g, v) = (self.g.view(), self.v.view());
        Prototypes { g, v, bias: &self.bias, temperature: self.temperature }
    }
}

/// Numbers of prototypes, their width, images, teacher's and student's crops.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    k: usize,
    r: usize,
    images: usize,
    q: usize,
    v: usize,
}

struct Case {
    sizes: Sizes,
    student_y: Tensor,
    teacher_y: Tensor,
    student: Network,
    teacher: Network,
    center: Tensor,
    /// Partners and weights of the student's rows, if views are not compared.
    rows: Option<(Vec<u32>, Vec<f32>)>,
}

fn unit_rows(seed: u64, rows: usize, r: usize) -> Tensor {
    crate::ops::l2_normalize::infer(random_tensor(seed, &[rows, r]))
}

impl Case {
    fn new(seed: u64, sizes: Sizes) -> Self {
        let Sizes { k, r, images, q, v } = sizes;
        Self {
            sizes,
            student_y: unit_rows(seed, v * images, r),
            teacher_y: unit_rows(seed + 1, q * images, r),
            student: Network::random(seed + 10, k, r, 0.1),
            teacher: Network::random(seed + 20, k, r, 0.05),
            center: random_tensor(seed + 2, &[k]),
            rows: None,
        }
    }

    /// Every third of `teacher_rows` tokens has been masked, and weighs something.
    fn masked(seed: u64, k: usize, r: usize, teacher_rows: usize) -> Self {
        let partners: Vec<u32> = (0..teacher_rows as u32).filter(|i| i % 3 == 1).collect();
        let weights = randoms(seed + 3, partners.len()).iter().map(|x| 0.6 + 0.5 * x).collect();
        let sizes = Sizes { k, r, images: 1, q: 1, v: 1 };
        Self {
            student_y: unit_rows(seed, partners.len(), r),
            teacher_y: unit_rows(seed + 1, teacher_rows, r),
            rows: Some((partners, weights)),
            ..Self::new(seed, sizes)
        }
    }

    /// Student row, teacher row and weight of every comparison.
    fn comparisons(&self) -> Vec<(usize, usize, f64)> {
        if let Some((partners, weights)) = &self.rows {
            let pairs = partners.iter().zip(weights).enumerate();
            return pairs.map(|(i, (&j, &w))| (i, j as usize, f64::from(w))).collect();
        }
        let Sizes { images, q: crops, v: views, .. } = self.sizes;
        let weight = 1.0 / (crops * (views - 1) * images).max(1) as f64;
        let pairs = (0..crops).flat_map(|q| (0..views).map(move |view| (q, view)));
        let pairs = pairs.filter(|(q, view)| q != view);
        let of_images = |(q, view)| {
            (0..images).map(move |image| (view * images + image, q * images + image, weight))
        };
        pairs.flat_map(of_images).collect()
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            student_y: &self.student_y,
            student: self.student.prototypes(),
            teacher_y: &self.teacher_y,
            teacher: self.teacher.prototypes(),
            center: &self.center,
            pairs: match &self.rows {
                Some((teacher, weights)) => Pairs::Rows { teacher, weights },
                None => Pairs::Views { teacher_crops: self.sizes.q, student_crops: self.sizes.v },
            },
        }
    }
}

/// `l / τ + b`, row-major `[rows, k]`.
fn scores(y: &[f64], g: &[f64], v: &[f64], network: &Network) -> Vec<f64> {
    let r = v.len() / g.len();
    let norms: Vec<f64> = v.chunks_exact(r).map(|v| inner(v, v).sqrt()).collect();
    let score = |y: &[f64], k: usize| {
        let raw = g[k] * inner(&v[k * r..(k + 1) * r], y) / norms[k];
        let moved = f64::from(network.slope[k]) * (g[k] - f64::from(network.g.host()[k]));
        raw / f64::from(network.temperature) + f64::from(network.bias[k]) + moved
    };
    y.chunks_exact(r).flat_map(|y| (0..g.len()).map(move |k| score(y, k))).collect()
}

fn log_sum_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = x.clone().fold(f64::NEG_INFINITY, f64::max);
    top + x.map(|x| (x - top).exp()).sum::<f64>().ln()
}

fn log_softmax(rows: &[f64], k: usize) -> Vec<f64> {
    let row = |row: &[f64]| {
        let total = log_sum_exp(row.iter().copied());
        row.iter().map(|x| x - total).collect::<Vec<f64>>()
    };
    rows.chunks_exact(k).flat_map(row).collect()
}

/// `u` of the teacher.
fn teacher_scores(case: &Case) -> Vec<f64> {
    let t = &case.teacher;
    scores(&doubles(case.teacher_y.host()), &doubles(t.g.host()), &doubles(t.v.host()), t)
}

/// `log P_t`.
fn teacher_log_probs(case: &Case) -> Vec<f64> {
    let u = teacher_scores(case);
    let z: Vec<f64> = u
        .iter()
        .enumerate()
        .map(|(i, u)| u - f64::from(case.center.host()[i % case.sizes.k]))
        .collect();
    log_softmax(&z, case.sizes.k)
}

/// The definition of the loss: every comparison, every prototype.
fn loss(case: &Case, teacher: &[f64], y: &[f64], g: &[f64], v: &[f64]) -> f64 {
    let k = case.sizes.k;
    let student = log_softmax(&scores(y, g, v, &case.student), k);
    let comparison = |(i, j, weight): (usize, usize, f64)| {
        let pairs = teacher[j * k..][..k].iter().zip(&student[i * k..][..k]);
        -weight * pairs.map(|(t, s)| t.exp() * s).sum::<f64>()
    };
    case.comparisons().into_iter().map(comparison).sum()
}

/// Student's vectors, lengths and directions: what the loss is differentiated by.
fn variables(case: &Case) -> [Vec<f64>; 3] {
    [doubles(case.student_y.host()), doubles(case.student.g.host()), doubles(case.student.v.host())]
}

/// Gradients of the student's `g` and `v`, and the teacher's statistic.
struct Sums {
    grads: Params,
    g: Param,
    v: Param,
    kind: Statistic,
    statistic: Tensor,
}

impl Sums {
    fn new(case: &Case, kind: Statistic) -> Self {
        let Network { g, v, .. } = &case.student;
        let (_, grads, ids) = random_params(0, &[g.shape(), v.shape()]);
        let statistic = Tensor::from_slice(&[g.len()], &vec![kind.empty(); g.len()]);
        Self { grads, g: ids[0], v: ids[1], kind, statistic }
    }

    /// `dy`.
    fn add(&mut self, case: &Case, scale: f32, learns_g: bool) -> Tensor {
        let (_, saved) = forward(&case.inputs());
        let gradients = Gradients {
            grads: &mut self.grads,
            g: learns_g.then_some(self.g),
            v: self.v,
            bias_slope: &case.student.slope,
            kind: self.kind,
            statistic: &mut self.statistic,
        };
        backward(saved, &case.inputs(), scale, gradients)
    }
}

/// Gradients of `scale · loss`: dy, dg, dv; and the statistic.
fn backward_of(case: &Case, scale: f32, kind: Statistic) -> [Vec<f32>; 4] {
    let mut sums = Sums::new(case, kind);
    let dy = sums.add(case, scale, true);
    let (dg, dv) = (sums.grads.view(sums.g).host(), sums.grads.view(sums.v).host());
    [dy.host(), dg, dv, sums.statistic.host()].map(<[f32]>::to_vec)
}

/// Scores below 40 are good to 4e-6 in f32; so are, relatively, probabilities.
fn check_forward(case: &Case) {
    let k = case.sizes.k;
    let (output, _) = forward(&case.inputs());
    let teacher = teacher_log_probs(case);
    let [y, g, v] = variables(case);
    let expected = loss(case, &teacher, &y, &g, &v);
    assert!((output.loss - expected).abs() < 2e-5 + 1e-5 * expected, "{output:?}, {expected}");
    let entropy = -teacher.iter().map(|log_p| log_p.exp() * log_p).sum::<f64>();
    let entropy = entropy / case.teacher_y.rows() as f64;
    assert!((output.teacher_entropy - entropy).abs() < 5e-5, "{output:?}, {entropy}");
    let best = |row: &[f64]| (0..k).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as u32;
    assert_eq!(output.assigned, teacher.chunks_exact(k).map(best).collect::<Vec<u32>>());
}

/// Checks the ten largest numbers of each gradient and ten others against differences of the loss.
fn check_backward(case: &Case) {
    let teacher = teacher_log_probs(case);
    let variables = variables(case);
    let gradients = backward_of(case, 0.5, Statistic::SumOfScores);
    // Scores are good to 4e-6 in both networks, so probabilities to 4e-6 p (1 − p), at most 1e-6 each.
    // Where student and target agree, they cancel and these errors remain, times the gradient by one
    // probability.
    let weights: f64 = case.comparisons().iter().map(|(_, _, weight)| weight).sum();
    let whole = 0.5 * weights / f64::from(case.student.temperature);
    let rounding = 2e-6 * whole;
    for which in 0..3 {
        let actual = &gradients[which];
        let mut order: Vec<usize> = (0..actual.len()).collect();
        order.sort_by(|&a, &b| actual[b].abs().total_cmp(&actual[a].abs()));
        let others = (0..10).map(|i| i * 7919 % actual.len());
        let checked: Vec<usize> = order.iter().copied().take(10).chain(others).collect();
        let moved = |x: &[f64]| {
            let mut all = [&variables[0][..], &variables[1], &variables[2]];
            all[which] = x;
            0.5 * loss(case, &teacher, all[0], all[1], all[2])
        };
        let expected: Vec<f64> =
            checked.iter().map(|&i| partial(&variables[which], i, 1e-5, moved)).collect();
        let actual: Vec<f32> = checked.iter().map(|&i| actual[i]).collect();
        // 3e-5: sums over prototypes and rows, in units of the largest.
        assert_close(&actual, &expected, rounding + 3e-5 * magnitude(&expected), 1e-4);
    }
}

/// The statistic of all rows of these teachers, from full columns.
fn statistic_of(cases: &[&Case], statistic: Statistic) -> Vec<f64> {
    let k = cases[0].sizes.k;
    let rows: Vec<f64> = cases.iter().flat_map(|case| teacher_scores(case)).collect();
    let column = |rows: &[f64], i: usize| rows.iter().skip(i).step_by(k).copied().collect();
    let columns = |rows: &[f64]| (0..k).map(|i| column(rows, i)).collect::<Vec<Vec<f64>>>();
    match statistic {
        Statistic::SumOfScores => columns(&rows).iter().map(|column| column.iter().sum()).collect(),
        Statistic::LogSumOfProbs => columns(&log_softmax(&rows, k))
            .iter()
            .map(|column| log_sum_exp(column.iter().copied()))
            .collect(),
    }
}

const STATISTICS: [Statistic; 2] = [Statistic::SumOfScores, Statistic::LogSumOfProbs];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn loss_gradients_and_statistics_are_their_definitions(
        k in 1usize..60, r in 2usize..8, images in 1usize..4, q in 1usize..4, more in 0usize..3,
        seed in 0u64..1000,
    ) {
        let case = Case::new(100 * seed, Sizes { k, r, images, q, v: q + more });
        check_forward(&case);
        check_backward(&case);
        for statistic in STATISTICS {
            let [.., actual] = backward_of(&case, 1.0, statistic);
            assert_close(&actual, &statistic_of(&[&case], statistic), 2e-5, 3e-6);
        }
    }
}

/// Masked tokens: one partner each, weights of their own, teacher rows without a student.
#[test]
fn masked_tokens_meet_their_own_teacher_rows() {
    for (k, teacher_rows) in [(40, 13), (700, 9), (1100, 1)] {
        let case = Case::masked(21, k, 6, teacher_rows);
        check_forward(&case);
        for statistic in STATISTICS {
            let [dy, .., actual] = backward_of(&case, 1.0, statistic);
            assert_eq!(dy.len(), case.student_y.len());
            assert_close(&actual, &statistic_of(&[&case], statistic), 2e-5, 3e-6);
        }
        if !case.student_y.is_empty() {
            check_backward(&case);
        }
    }
}

/// One tile; two tiles in two lanes; several tiles in a lane and a last one that is not full.
#[test]
fn many_tiles_and_lanes_are_their_definition() {
    for k in [40, 700, 9000] {
        let case = Case::new(7, Sizes { k, r: 6, images: 2, q: 2, v: 4 });
        check_forward(&case);
        check_backward(&case);
    }
}

#[test]
fn statistics_accumulate_over_two_micro_batches() {
    let sizes = Sizes { k: 700, r: 6, images: 3, q: 2, v: 3 };
    let first = Case::new(11, sizes);
    let second = Case { teacher_y: unit_rows(12, 6, 6), ..Case::new(11, sizes) };
    for statistic in STATISTICS {
        let mut sums = Sums::new(&first, statistic);
        for case in [&first, &second] {
            let _ = sums.add(case, 1.0, false);
        }
        let expected = statistic_of(&[&first, &second], statistic);
        // Sums of twelve scores below 40.
        assert_close(sums.statistic.host(), &expected, 5e-5, 3e-6);
    }
}

#[test]
fn equal_scores_cost_the_logarithm_of_the_number_of_prototypes() {
    let mut case = Case::new(13, Sizes { k: 1234, r: 4, images: 2, q: 2, v: 3 });
    for network in [&mut case.student, &mut case.teacher] {
        network.g.host_mut().fill(0.0);
        network.bias.fill(0.0);
    }
    case.center.host_mut().fill(0.0);
    let (output, _) = forward(&case.inputs());
    let expected = 1234f64.ln();
    assert!((output.loss - expected).abs() < 1e-5 && output.assigned == [0; 4], "{output:?}");
    assert!((output.teacher_entropy - expected).abs() < 1e-5, "{output:?}");
}

#[test]
fn a_single_crop_has_nothing_to_compare_with() {
    let case = Case::new(14, Sizes { k: 50, r: 4, images: 2, q: 1, v: 1 });
    assert_eq!(forward(&case.inputs()).0.loss, 0.0);
    let [dy, dg, dv, _] = backward_of(&case, 1.0, Statistic::SumOfScores);
    assert!(dy.iter().chain(&dg).chain(&dv).all(|&x| x == 0.0));
}

/// Lengths from 1e-3 to 50 make scores of 1000 and more; f32 has them to 1e-4.
#[test]
fn extreme_scores_stay_finite_and_right() {
    let mut case = Case::new(15, Sizes { k: 2000, r: 8, images: 3, q: 2, v: 4 });
    for network in [&mut case.student, &mut case.teacher] {
        for (i, g) in network.g.host_mut().iter_mut().enumerate() {
            *g = 1e-3 * 5e4f32.powf((i * 37 % 2000) as f32 / 1999.0);
        }
        network.temperature = 0.04;
    }
    let (output, _) = forward(&case.inputs());
    let [y, g, v] = variables(&case);
    let expected = loss(&case, &teacher_log_probs(&case), &y, &g, &v);
    assert!((output.loss - expected).abs() < 1e-3 + 1e-5 * expected, "{output:?}, {expected}");
    assert!(output.teacher_entropy.abs() < 8.0, "{output:?}");
    for statistic in STATISTICS {
        let all = backward_of(&case, 1.0, statistic).concat();
        assert!(all.iter().all(|x| x.is_finite()), "{statistic:?}");
    }
}

#[test]
fn gradients_add_and_a_frozen_g_changes_no_other() {
    let case = Case::new(16, Sizes { k: 700, r: 5, images: 2, q: 2, v: 3 });
    let [dy, _, dv, _] = backward_of(&case, 1.0, Statistic::SumOfScores);
    let mut sums = Sums::new(&case, Statistic::SumOfScores);
    sums.grads.whole_mut().host_mut().fill(1.0);
    let again = sums.add(&case, 1.0, false);
    assert_eq!(bits(again.host()), bits(&dy));
    let expected: Vec<f64> = dv.iter().map(|&dv| 1.0 + f64::from(dv)).collect();
    // A few roundings of numbers near one.
    assert_close(sums.grads.view(sums.v).host(), &expected, 1e-6, 0.0);
    assert!(sums.grads.view(sums.g).host().iter().all(|&dg| dg == 1.0));
}

#[test]
fn threads_give_equal_bits() {
    let case = Case::new(17, Sizes { k: 9000, r: 16, images: 2, q: 2, v: 4 });
    assert_threads_agree(|| {
        let (output, _) = forward(&case.inputs());
        let numbers = [output.loss, output.teacher_entropy].map(f64::to_bits);
        let halves = numbers.iter().flat_map(|x| [(x >> 32) as u32, *x as u32]);
        let mut all: Vec<f32> = halves.map(f32::from_bits).collect();
        all.extend(backward_of(&case, 1.0, Statistic::LogSumOfProbs).concat());
        all
    });
}

#[test]
#[should_panic(expected = "student rows")]
fn rows_that_are_no_multiple_of_the_images_are_refused() {
    let mut case = Case::new(18, Sizes { k: 5, r: 3, images: 2, q: 2, v: 3 });
    case.student_y = unit_rows(1, 5, 3);
    let _ = forward(&case.inputs());
}

#[test]
#[should_panic(expected = "teacher rows ascend")]
fn two_students_of_one_teacher_row_are_refused() {
    let mut case = Case::masked(22, 5, 3, 9);
    let partners = vec![1, 1, 4];
    case.rows = case.rows.map(|(_, weights)| (partners, weights));
    let _ = forward(&case.inputs());
}

#[test]
#[should_panic(expected = "prototype directions")]
fn directions_of_another_width_are_refused() {
    let mut case = Case::new(19, Sizes { k: 5, r: 3, images: 2, q: 2, v: 3 });
    case.teacher.v = random_tensor(1, &[5, 2]);
    let _ = forward(&case.inputs());
}

#[test]
#[should_panic(expected = "vectors over prototypes")]
fn a_statistic_of_another_number_of_prototypes_is_refused() {
    let case = Case::new(20, Sizes { k: 5, r: 3, images: 2, q: 2, v: 3 });
    let mut sums = Sums::new(&case, Statistic::SumOfScores);
    sums.statistic = Tensor::zeros(&[6]);
    let _ = sums.add(&case, 1.0, false);
}
