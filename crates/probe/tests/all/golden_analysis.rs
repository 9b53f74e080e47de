//! Measures of the analyses against scikit-learn, scipy and numpy (`golden/analysis.py`).

use std::collections::HashMap;

use probe::Matrix;
use probe::analysis::accuracy_by_kappa::spearman;
use probe::analysis::agreement::Contingency;
use probe::analysis::features::Features;

/// Both sides compute in f64, on equal inputs.
const EXACT: f64 = 1e-12;
/// Unit vectors and their products are f32 on our side.
const SINGLE: f64 = 1e-6;
/// What the square root of rounding in `ZᵀZ` leaves of RankMe.
const GRAM: f64 = 1e-5;

/// The numbers of each line, by name.
struct Golden(HashMap<&'static str, Vec<f64>>);

impl Golden {
    fn read() -> Self {
        let lines =
            include_str!("../golden/analysis.csv").lines().filter(|line| !line.starts_with('#'));
        let numbers = |line: &'static str| {
            let (name, values) = line.split_once(',').expect("a name and numbers");
            let values = values.split(',').map(|value| value.parse().expect("a number"));
            (name, values.collect())
        };
        Self(lines.map(numbers).collect())
    }

    fn all(&self, name: &str, case: &str) -> &[f64] {
        &self.0[format!("{name}_{case}").as_str()]
    }

    fn near(&self, name: &str, case: &str, found: f64, allowed: f64) {
        let expected = self.all(name, case)[0];
        assert!((found - expected).abs() <= allowed, "{name} {case}: {found} for {expected}");
    }

    fn whole(&self, name: &str, case: &str) -> Vec<u32> {
        self.all(name, case).iter().map(|&x| x as u32).collect()
    }

    fn rows(&self, name: &str, case: &str) -> Vec<f32> {
        self.all(name, case).iter().map(|&x| x as f32).collect()
    }
}

#[test]
fn golden_agreement_is_scikit_learns() {
    let golden = Golden::read();
    for case in ["random", "related", "merged", "single"] {
        let (components, labels) = (golden.whole("components", case), golden.whole("labels", case));
        let counts = Contingency::new(&components, &labels);
        golden.near("nmi", case, counts.nmi(), EXACT);
        golden.near("ari", case, counts.ari(), EXACT);
    }
}

#[test]
fn golden_rank_correlation_is_scipys() {
    let golden = Golden::read();
    for case in ["free", "tied"] {
        let found = spearman(golden.all("x", case), golden.all("y", case));
        golden.near("spearman", case, found.expect("neither is constant"), EXACT);
    }
}

#[test]
fn golden_features_are_numpys() {
    let golden = Golden::read();
    for case in ["tall", "wide"] {
        let width = golden.all("width", case)[0] as usize;
        let (z, other) = (golden.rows("z", case), golden.rows("other", case));
        let pairs = z.chunks(width).zip(other.chunks(width)).flat_map(|(a, b)| [a, b]);
        let crops = Matrix::new(pairs.flatten().copied().collect(), width);
        let found = Features::of(&Matrix::new(z, width), &crops);
        golden.near("std", case, found.std, SINGLE);
        golden.near("uniformity", case, found.uniformity.expect("several images"), SINGLE);
        golden.near("alignment", case, found.alignment, SINGLE);
        golden.near("rankme", case, found.spectrum.rankme, GRAM);
        let participation = found.spectrum.participation_ratio.expect("several images");
        golden.near("participation", case, participation, 1e-9);
        let expected = [
            ("singular_values", &found.spectrum.singular_values),
            ("explained", &found.spectrum.explained),
        ];
        for (name, found) in expected {
            for (found, expected) in found.iter().zip(golden.all(name, case)) {
                // the square root of an eigenvalue has half its digits
                assert!((found - expected).abs() < 1e-7, "{name} {case}: {found} for {expected}");
            }
        }
    }
}
