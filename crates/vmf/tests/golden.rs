//! Compares the crate with reference values from mpmath: the project's golden set (50 digits),
//! `golden/normalizer.csv` (60 digits, scattered over p and κ) and `golden/closed_form.csv` (60 digits).

#[cfg(test)]
mod golden {
    use std::env;
    use std::fs;
    use std::path::{Path, PathBuf};

    use safetensors::{Dtype, SafeTensors};
    use vmf::{DebyeTerms, Mixture, Normalizer};

    /// “rtol 1e-12 on log_c and a for a careful float64 code; log_c_minus_log_c0 rtol 1e-12”; for
    /// log_c, which crosses zero, relative to the larger of log C_p(κ) and log C_p(0).
    const EXACT_FLOAT64: f64 = 1e-12;
    /// “rtol 1e-9 in float64” for da_dkappa; the code keeps more.
    const DA_DKAPPA: f64 = 1e-11;
    /// “rtol 1e-12 at terms 0; 1e-11 at terms 1..3”.
    const CLOSED_FORM_FLOAT64: [f64; 4] = [1e-12, 1e-11, 1e-11, 1e-11];
    /// “max(1e-6, 3e-7 |value|) absolute”.
    const CLOSED_FORM_FLOAT32: (f64, f64) = (1e-6, 3e-7);
    /// Our own bound, absolute, for the slope in f32, which is of size one. The golden set's JSON states
    /// none.
    const SLOPE_FLOAT32: f64 = 2e-6;
    /// Our own bound: what the doc comments promise for entropy, divergence and κ̂.
    const DERIVED: f64 = 1e-12;

    /// The golden set, read into memory.
    struct Fixture {
        folder: PathBuf,
        bytes: Vec<u8>,
    }

    impl Fixture {
        fn tensor<const N: usize>(&self, name: &str, dtype: Dtype) -> (Vec<usize>, Vec<[u8; N]>) {
            let file = SafeTensors::deserialize(&self.bytes).expect("a safetensors file");
            let tensor = file.tensor(name).unwrap_or_else(|_| panic!("no tensor {name}"));
            assert_eq!(tensor.dtype(), dtype, "{name}");
            let items = tensor.data().as_chunks::<N>().0.to_vec();
            (tensor.shape().to_vec(), items)
        }

        fn values(&self, name: &str) -> Vec<f64> {
            let (_, items) = self.tensor(name, Dtype::F64);
            items.into_iter().map(f64::from_le_bytes).collect()
        }

        fn dimensions(&self, name: &str) -> Vec<usize> {
            let (_, items) = self.tensor(name, Dtype::I64);
            items.into_iter().map(|bytes| i64::from_le_bytes(bytes) as usize).collect()
        }

        /// All points of the grid: (index into `[p, kappa]` arrays, p, κ).
        fn grid(&self) -> Vec<(usize, usize, f64)> {
            let kappas = self.values("kappa");
            let pairs = self
                .dimensions("p")
                .into_iter()
                .flat_map(|p| kappas.iter().map(move |&kappa| (p, kappa)));
            pairs.enumerate().map(|(i, (p, kappa))| (i, p, kappa)).collect()
        }
    }

    /// Reads the golden set from `DINO_VMF_GOLDEN` if that is set now. Otherwise it reads the folder
    /// found when the tests were compiled; without any other, that is the copy in the workspace.
    fn fixture() -> Fixture {
        let now = env::var_os("DINO_VMF_GOLDEN").filter(|value| !value.is_empty());
        read(now.map_or_else(|| goldens::folder!().into(), PathBuf::from))
    }

    fn read(folder: PathBuf) -> Fixture {
        let path = folder.join("vmf.safetensors");
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
        Fixture { folder, bytes }
    }

    /// Keeps the largest error of a comparison, in units of the tolerance.
    struct Worst {
        what: &'static str,
        excess: f64,
        place: String,
        count: usize,
    }

    impl Worst {
        fn new(what: &'static str) -> Self {
            Self { what, excess: 0.0, place: String::new(), count: 0 }
        }

        fn compare(
            &mut self,
            found: f64,
            expected: f64,
            tolerance: f64,
            place: impl FnOnce() -> String,
        ) {
            let error = (found - expected).abs();
            // Equal infinities or zeros need no tolerance; a NaN is always wrong.
            let excess = if found == expected { 0.0 } else { error / tolerance };
            self.count += 1;
            if excess.is_nan() || excess > self.excess {
                self.excess = if excess.is_nan() { f64::INFINITY } else { excess };
                self.place = format!("{}: {found:e}, expected {expected:e}", place());
            }
        }

        fn check(self, folder: &Path) {
            let Self { what, excess, place, count } = self;
            println!("{what}: {excess:.3} of the tolerance at {place}");
            assert!(count > 0, "`{}` has no values for {what}", folder.display());
            assert!(
                excess <= 1.0,
                "{what} in `{}`: {excess} tolerances at {place}",
                folder.display()
            );
        }
    }

    #[goldens::test(vmf)]
    fn normalizer_and_ratio_are_exact() {
        let fixture = fixture();
        let [log_c, change, a, slope] =
            ["log_c", "log_c_minus_log_c0", "a", "da_dkappa"].map(|name| fixture.values(name));
        let mut worst = ["log_c", "log_c_minus_log_c0", "a", "da_dkappa"].map(Worst::new);
        for (i, p, kappa) in fixture.grid() {
            let place = || format!("p {p}, kappa {kappa}");
            let scale = log_c[i].abs().max((log_c[i] - change[i]).abs());
            worst[0].compare(vmf::log_normalizer(p, kappa), log_c[i], EXACT_FLOAT64 * scale, place);
            let found = vmf::log_normalizer_ratio(p, kappa);
            worst[1].compare(found, change[i], EXACT_FLOAT64 * change[i].abs(), place);
            let found = vmf::mean_resultant_length(p, kappa);
            worst[2].compare(found, a[i], EXACT_FLOAT64 * a[i], place);
            let found = vmf::mean_resultant_length_slope(p, kappa);
            worst[3].compare(found, slope[i], DA_DKAPPA * slope[i], place);
        }
        worst.into_iter().for_each(|worst| worst.check(&fixture.folder));
    }

    #[goldens::test(vmf)]
    fn uniform_density_is_exact() {
        let fixture = fixture();
        let mut worst = Worst::new("log_c0");
        for (p, expected) in fixture.dimensions("p").into_iter().zip(fixture.values("log_c0")) {
            let found = vmf::log_normalizer_at_zero(p);
            worst.compare(found, expected, 1e-13 * expected.abs(), || format!("p {p}"));
        }
        worst.check(&fixture.folder);
    }

    #[goldens::test(vmf)]
    fn closed_forms_and_their_slopes_are_those_of_the_fixture() {
        let fixture = fixture();
        let (values, slopes) = (fixture.values("closed_form"), fixture.values("closed_form_slope"));
        let grid = fixture.grid();
        for (terms, tolerance) in CLOSED_FORM_FLOAT64.into_iter().enumerate() {
            let mut value = Worst::new("closed_form");
            let mut slope = Worst::new("closed_form_slope");
            for &(i, p, kappa) in grid.iter().filter(|(_, p, _)| *p >= 3) {
                let form = Normalizer::closed_form(p, DebyeTerms::from_count(terms).unwrap());
                let i = terms * grid.len() + i;
                let place = || format!("terms {terms}, p {p}, kappa {kappa}");
                let (floor, slope_floor) = rounding_of_the_fixture(p, kappa);
                let allowed = tolerance * values[i].abs() + floor;
                value.compare(form.value(kappa), values[i], allowed, place);
                let allowed = tolerance * slopes[i].abs() + slope_floor;
                slope.compare(form.slope(kappa), slopes[i], allowed, place);
            }
            value.check(&fixture.folder);
            slope.check(&fixture.folder);
        }
    }

    /// Rounding errors in the golden set, to be added to our tolerance: (of values, of slopes).
    ///
    /// Its closed forms were evaluated in f64. At small κ their terms of size δ and S(1) ≈ 1/12ν cancel,
    /// and so do the terms of the slope of size κ/(ν + q) at `p = 4`. `closed_form.csv` was evaluated
    /// with 60 digits and has no such errors.
    fn rounding_of_the_fixture(p: usize, kappa: f64) -> (f64, f64) {
        let nu = p as f64 / 2.0 - 1.0;
        let slope = kappa / (nu + nu.hypot(kappa));
        let corrections = 0.25 / nu + nu.powi(-3); // their polynomials cancel most at `p = 3`
        (4.0 * f64::EPSILON * (kappa * slope + corrections), f64::EPSILON * slope)
    }

    #[test]
    fn closed_forms_and_their_slopes_are_those_of_the_formula() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let (mut value, mut slope) = (Worst::new("closed form"), Worst::new("its slope"));
        for [terms, p, kappa, b, db] in rows(&folder.join("closed_form.csv")) {
            let tolerance = CLOSED_FORM_FLOAT64[terms as usize];
            let terms = DebyeTerms::from_count(terms as usize).expect("0 to 3 terms");
            let form = Normalizer::closed_form(p as usize, terms);
            let place = || format!("{terms:?}, p {p}, kappa {kappa}");
            value.compare(form.value(kappa), b, tolerance * b.abs(), place);
            slope.compare(form.slope(kappa), db, tolerance * db.abs(), place);
        }
        value.check(&folder);
        slope.check(&folder);
    }

    /// The values of a CSV file. Lines that do not start with a digit are the header and comments.
    fn rows<const COLUMNS: usize>(path: &Path) -> Vec<[f64; COLUMNS]> {
        let table = fs::read_to_string(path).expect("a CSV file in this crate");
        let rows = table.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        rows.map(|line| {
            let fields: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
            fields.try_into().unwrap_or_else(|_| panic!("{COLUMNS} columns, not `{line}`"))
        })
        .collect()
    }

    #[goldens::test(vmf)]
    fn closed_forms_in_single_precision_stay_within_their_tolerance() {
        let fixture = fixture();
        let (values, slopes) = (fixture.values("closed_form"), fixture.values("closed_form_slope"));
        let grid = fixture.grid();
        let (atol, rtol) = CLOSED_FORM_FLOAT32;
        let (mut value, mut slope) = (Worst::new("value_f32"), Worst::new("slope_f32"));
        for terms in 0..4 {
            for &(i, p, kappa) in grid.iter().filter(|(_, p, _)| *p >= 3) {
                let form = Normalizer::closed_form(p, DebyeTerms::from_count(terms).unwrap());
                let i = terms * grid.len() + i;
                let place = || format!("terms {terms}, p {p}, kappa {kappa}");
                let (b, db) = (form.value_f32(kappa as f32), form.slope_f32(kappa as f32));
                // The golden value is at κ, ours at κ rounded to f32.
                let shift = slopes[i] * (f64::from(kappa as f32) - kappa);
                let tolerance = atol.max(rtol * values[i].abs());
                value.compare(f64::from(b), values[i] + shift, tolerance, place);
                slope.compare(f64::from(db), slopes[i], SLOPE_FLOAT32, place);
            }
        }
        value.check(&fixture.folder);
        slope.check(&fixture.folder);
    }

    #[goldens::test(vmf)]
    fn entropies_and_divergences_are_exact() {
        let fixture = fixture();
        let mut worst = Worst::new("entropy");
        let expected = fixture.values("entropy/value");
        let ps = fixture.dimensions("entropy/p");
        for (i, kappa) in fixture.values("entropy/kappa").into_iter().enumerate() {
            let scale = kappa.max(1.0).max(vmf::log_normalizer_at_zero(ps[i]).abs());
            let found = vmf::entropy(ps[i], kappa);
            worst.compare(found, expected[i], DERIVED * scale, || format!("p {}, {kappa}", ps[i]));
        }
        worst.check(&fixture.folder);
        let mut worst = Worst::new("kl");
        let ps = fixture.dimensions("kl/p");
        let [one, two, cosine, expected] = ["kappa1", "kappa2", "cosine", "value"]
            .map(|name| fixture.values(&format!("kl/{name}")));
        for (i, &p) in ps.iter().enumerate() {
            let found = vmf::kl_divergence(p, one[i], two[i], cosine[i]);
            let scale = one[i].max(two[i]).max(1.0);
            worst.compare(found, expected[i], DERIVED * scale, || format!("p {p}, case {i}"));
        }
        worst.check(&fixture.folder);
    }

    #[goldens::test(vmf)]
    fn concentrations_have_the_largest_likelihood() {
        let fixture = fixture();
        let (mut worst, mut start) = (Worst::new("ml_kappa"), Worst::new("closed_start"));
        let (ps, rs) = (fixture.dimensions("ml_kappa/p"), fixture.values("ml_kappa/r"));
        let expected = fixture.values("ml_kappa/value");
        let starts = fixture.values("ml_kappa/closed_start");
        for (i, (&p, &r)) in ps.iter().zip(&rs).enumerate() {
            let place = || format!("p {p}, r {r}");
            let found = vmf::max_likelihood_kappa(p, r).expect("0 <= r < 1");
            worst.compare(found, expected[i], DERIVED * expected[i], place);
            let found = vmf::approximate_kappa(p, r).expect("0 <= r < 1");
            start.compare(found, starts[i], EXACT_FLOAT64 * starts[i], place);
        }
        worst.check(&fixture.folder);
        start.check(&fixture.folder);
    }

    #[goldens::test(vmf)]
    fn responsibilities_and_density_of_a_mixture_are_exact() {
        let fixture = fixture();
        let path = fixture.folder.join("vmf.json");
        let json = fs::read(&path).expect("vmf.json beside vmf.safetensors");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let (shape, _) = fixture.tensor::<8>("mixture/mu", Dtype::F64);
        let [weights, mu, kappas, y, expected] = ["pi", "mu", "kappa", "y", "log_responsibility"]
            .map(|name| fixture.values(&format!("mixture/{name}")));
        let largest = kappas.iter().copied().fold(1.0, f64::max);
        let mixture = Mixture::new(shape[1], weights, mu, kappas).expect("a mixture");
        let (mut density, mut log_r) = (Worst::new("log density"), Worst::new("log r"));
        for (i, y) in y.chunks_exact(shape[1]).enumerate() {
            let stored = json["mixture_log_density"][i].as_f64().expect("a number");
            density.compare(mixture.log_density(y), stored, DERIVED * largest, || format!("{i}"));
            for (k, found) in mixture.log_responsibilities(y).into_iter().enumerate() {
                let expected = expected[i * shape[0] + k];
                log_r.compare(found, expected, DERIVED * largest, || format!("point {i}, {k}"));
            }
        }
        density.check(&fixture.folder);
        log_r.check(&fixture.folder);
    }

    /// Odd and large dimensions, κ on both sides of every change of formula, κ up to 3e6.
    #[test]
    fn scattered_values_of_the_normalizer_are_exact() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut worst = ["log_c", "log_c_ratio", "a", "a_complement", "a_slope"].map(Worst::new);
        let mut round_trip = Worst::new("kappa of a");
        for row in rows(&folder.join("normalizer.csv")) {
            let [p, kappa, log_c, change, a, complement, slope] = row;
            let p = p as usize;
            let place = || format!("p {p}, kappa {kappa}");
            let scale = EXACT_FLOAT64 * log_c.abs().max((log_c - change).abs());
            worst[0].compare(vmf::log_normalizer(p, kappa), log_c, scale, place);
            let found = vmf::log_normalizer_ratio(p, kappa);
            worst[1].compare(found, change, EXACT_FLOAT64 * change.abs(), place);
            worst[2].compare(vmf::mean_resultant_length(p, kappa), a, EXACT_FLOAT64 * a, place);
            let found = vmf::mean_resultant_length_complement(p, kappa);
            worst[3].compare(found, complement, 1e-11 * complement, place);
            let found = vmf::mean_resultant_length_slope(p, kappa);
            worst[4].compare(found, slope, DA_DKAPPA * slope, place);
            // A rounded to f64 moves κ̂ by half a unit in the last place over κ A′.
            let rounding = f64::EPSILON * a / (slope * kappa);
            let found = vmf::max_likelihood_kappa(p, a).expect("0 <= a < 1");
            round_trip.compare(found, kappa, (DERIVED + rounding) * kappa, place);
        }
        worst.into_iter().chain([round_trip]).for_each(|worst| worst.check(&folder));
    }
}
