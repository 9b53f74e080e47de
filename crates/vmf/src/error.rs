//! `Error` lists how bad data, parameters or options are refused. Mistakes in the caller's code
//! panic instead.

/// Why data, parameters or options were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A vector or a matrix has the wrong length.
    #[error("{what} holds {found} values, but needs {expected}")]
    Dimension {
        /// The argument.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length needed, in words if several would do.
        expected: String,
    },
    /// The dimension of the ambient space is below two.
    #[error("dimension is {found}, but a sphere of directions needs at least 2")]
    TooFlat {
        /// The dimension.
        found: usize,
    },
    /// A row is not a unit vector, or contains a NaN or an infinity.
    #[error("row {row} of {what} has norm {norm}, but must have norm 1 (to 1e-6)")]
    NotUnit {
        /// The argument.
        what: &'static str,
        /// Index of the row.
        row: usize,
        /// Its Euclidean norm.
        norm: f64,
    },
    /// A concentration is negative, infinite or NaN.
    #[error("kappa {index} is {kappa}, but must be finite and at least 0")]
    Kappa {
        /// Index of the component.
        index: usize,
        /// The concentration.
        kappa: f64,
    },
    /// Weights are negative or NaN, or do not sum to one.
    #[error("{weights} weights sum to {sum}, but must be at least 0 and sum to 1 (to 1e-6)")]
    Weights {
        /// How many weights there are.
        weights: usize,
        /// Their sum, NaN if one of them is negative.
        sum: f64,
    },
    /// The mixture has no components.
    #[error("a mixture needs at least one component")]
    NoComponents,
    /// There are fewer points than components.
    #[error("{points} points are too few for {components} components")]
    TooFewPoints {
        /// Number of points.
        points: usize,
        /// Number of components asked for.
        components: usize,
    },
    /// An option of the fit is outside its range.
    #[error("option `{option}` is {found}, but must be {allowed}")]
    Options {
        /// Name of the field.
        option: &'static str,
        /// Its value.
        found: f64,
        /// What is allowed, in words.
        allowed: &'static str,
    },
    /// A mean resultant length outside [0, 1).
    #[error("mean resultant length is {found}, but must lie in [0, 1)")]
    MeanResultantLength {
        /// The length.
        found: f64,
    },
}

/// Largest allowed distance of a row's norm from one. Rows that were normalized in f32 pass.
const NORM_TOLERANCE: f64 = 1e-6;

/// Checks that `rows`, `[n, p]`, are unit vectors and returns `n`.
pub(crate) fn check_rows(rows: &[f64], p: usize, what: &'static str) -> Result<usize, Error> {
    if p < 2 {
        return Err(Error::TooFlat { found: p });
    }
    if !rows.len().is_multiple_of(p) {
        let expected = format!("a multiple of {p}");
        return Err(Error::Dimension { what, found: rows.len(), expected });
    }
    for (row, values) in rows.chunks_exact(p).enumerate() {
        let norm = norm(values);
        if norm.is_nan() || (norm - 1.0).abs() > NORM_TOLERANCE {
            return Err(Error::NotUnit { what, row, norm });
        }
    }
    Ok(rows.len() / p)
}

/// Checks one concentration.
pub(crate) fn check_kappa(index: usize, kappa: f64) -> Result<(), Error> {
    if kappa.is_finite() && kappa >= 0.0 { Ok(()) } else { Err(Error::Kappa { index, kappa }) }
}

/// Euclidean norm.
pub(crate) fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// Inner product, summed from first to last.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_row_that_is_not_a_unit_vector() {
        let error = check_rows(&[1.0, 0.0, 0.5, 0.5], 2, "points").unwrap_err();
        assert_eq!(
            error.to_string(),
            "row 1 of points has norm 0.7071067811865476, but must have norm 1 (to 1e-6)"
        );
        assert!(check_rows(&[f64::NAN, 0.0], 2, "points").is_err());
    }

    #[test]
    fn refuses_a_length_that_is_not_a_multiple_of_the_dimension() {
        let error = check_rows(&[1.0, 0.0, 0.0], 2, "points").unwrap_err();
        assert_eq!(error.to_string(), "points holds 3 values, but needs a multiple of 2");
    }
}
