//! Retrieval and video segmentation against an independent implementation.

use crate::fixtures::{Fixture, fixture};
use probe::retrieval::{self, Difficulty, Relevant};
use probe::segmentation::{Mask, Statistics, boundary_accuracy, region_similarity};
use serde_json::Value;

/// "AP 1e-12 given the stored ranks", "1e-12 (integer counts)"
const EXACT: f64 = 1e-12;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn places(value: &Value) -> Vec<usize> {
    value.as_array().expect("a list").iter().map(|place| number(place) as usize).collect()
}

#[goldens::test(evaluate)]
fn golden_retrieval() {
    let fixture = fixture("evaluate");
    let settings = &fixture.json["retrieval"];
    let queries: Vec<Relevant> = settings["ground_truth"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|of| Relevant {
            easy: places(&of["easy"]),
            hard: places(&of["hard"]),
            junk: places(&of["junk"]),
        })
        .collect();
    let (shape, ranks) = fixture.usize("retrieval/ranks");
    let ranking = |q: usize| ranks[q..].iter().step_by(shape[1]).map(|&i| i as u32).collect();
    let rankings: Vec<Vec<u32>> = (0..shape[1]).map(ranking).collect();
    for (difficulty, name) in [(Difficulty::Medium, "medium"), (Difficulty::Hard, "hard")] {
        let found = retrieval::score(&rankings, &queries, difficulty);
        let expected = fixture.f64(&format!("retrieval/{name}_ap")).1;
        for (ap, e) in found.ap.iter().zip(&expected) {
            assert_eq!(ap.is_none(), e.is_nan(), "{name}: {ap:?} for {e}");
            assert!(ap.is_none_or(|ap| (ap - e).abs() < EXACT), "{name}: {ap:?} for {e}");
        }
        assert!((found.map.unwrap() - number(&settings[name]["map"])).abs() < EXACT, "{name}");
        let expected = settings[name]["mean_precision"].as_array().expect("a list");
        for (precision, e) in found.precision.unwrap().iter().zip(expected) {
            assert!((precision - number(e)).abs() < EXACT, "{name}: {precision} for {e}");
        }
    }
}

/// Masks of a tensor of 0 and 1, `[.., height, width]`.
fn masks(fixture: &Fixture, name: &str) -> (Vec<usize>, Vec<Mask>) {
    let (shape, values) = fixture.usize(name);
    let (h, width) = (shape[shape.len() - 2], shape[shape.len() - 1]);
    let mask = |of: &[usize]| Mask { pixels: of.iter().map(|x| *x != 0).collect(), width };
    let masks = values.chunks_exact(h * width).map(mask).collect();
    (shape, masks)
}

/// A mask of which eight pixels are a byte.
fn packed(fixture: &Fixture, name: &str, width: usize) -> Mask {
    let (shape, values) = fixture.usize(name);
    let bit = |row: &[usize], x: usize| row[x / 8] >> (7 - x % 8) & 1 == 1;
    let rows = values.chunks_exact(shape[1]);
    Mask { pixels: rows.flat_map(|row| (0..width).map(move |x| bit(row, x))).collect(), width }
}

/// The committed selection of `evaluate` has no masks. `augment` is in the full set alone, and stands for it.
#[goldens::test(evaluate, augment)]
fn golden_region_similarity_and_boundary_accuracy() {
    let fixture = fixture("evaluate");
    let settings = &fixture.json["davis"];
    let (shape, truths) = masks(&fixture, "davis/truth");
    let guesses = masks(&fixture, "davis/guess").1;
    let frames = shape[1];
    for (name, measure) in
        [("j", region_similarity as fn(&Mask, &Mask) -> f64), ("f", boundary_accuracy)]
    {
        let found: Vec<f64> = truths.iter().zip(&guesses).map(|(t, g)| measure(t, g)).collect();
        let expected = fixture.f64(&format!("davis/{name}")).1;
        for (i, (x, e)) in found.iter().zip(&expected).enumerate() {
            assert!((x - e).abs() < EXACT, "{name} of frame {i}: {x} for {e}");
        }
        for (i, values) in found.chunks_exact(frames).enumerate() {
            let Statistics { mean, recall, decay } = Statistics::of(values).unwrap();
            let expected = settings["statistics"][name][i].as_array().expect("a list");
            for (x, e) in [mean, recall, decay].iter().zip(expected) {
                assert!((x - number(e)).abs() < EXACT, "{name} of object {i}: {x} for {e}");
            }
        }
    }
    let width = number(&settings["big"]["shape"][1]) as usize;
    let (truth, guess) =
        (packed(&fixture, "davis/big_truth", width), packed(&fixture, "davis/big_guess", width));
    assert!((region_similarity(&truth, &guess) - number(&settings["big"]["j"])).abs() < EXACT);
    assert!((boundary_accuracy(&truth, &guess) - number(&settings["big"]["f"])).abs() < EXACT);
}
