//! `Prototypes` are the rows of the head's last layer, read as components of a von Mises-Fisher mixture.
//!
//! ```text
//! κₖ = |gₖ| / τ        concentration at temperature τ
//! μₖ = sign(gₖ) vₖ / ‖vₖ‖        mean direction; 0 where vₖ is 0
//! ```
//!
//! `g` are signed norms, `[k]`, and `v` vectors that are not normalized, `[k, r]`: PyTorch's weight
//! normalization.

use engine::{Param, ParamTable, Role};

/// A set of prototypes among the parameters.
#[derive(Debug, Clone, Copy)]
pub struct Prototypes {
    /// Signed norms, `[k, 1]`.
    pub g: Param,
    /// Directions, not normalized, `[k, r]`.
    pub v: Param,
    /// Number of prototypes, `k`.
    pub count: usize,
}

impl Prototypes {
    /// Adds `{layer}.weight_g` and `{layer}.weight_v` to a table.
    pub(super) fn new(table: &mut ParamTable, layer: &str, count: usize, r: usize) -> Self {
        let g = table.add(format!("{layer}.weight_g"), &[count, 1], Role::PrototypeNorm);
        let v = table.add(format!("{layer}.weight_v"), &[count, r], Role::Prototype);
        Self { g, v, count }
    }

    /// Concentrations `κₖ = |gₖ| / temperature` of prototypes with norms `g`, in their order.
    pub fn kappas(g: &[f32], temperature: f64) -> impl ExactSizeIterator<Item = f64> {
        g.iter().map(move |g| f64::from(g.abs()) / temperature)
    }

    /// Mean directions `μₖ`, `[rows, r]`, of the prototypes whose numbers are in `rows`. Norms are summed
    /// in f64.
    ///
    /// # Shapes
    /// `g` is `[k]`, `v` is `[k, r]`.
    ///
    /// # Panics
    /// If a row is not below `k`.
    pub fn directions(g: &[f32], v: &[f32], rows: impl IntoIterator<Item = usize>) -> Vec<f32> {
        let r = v.len() / g.len().max(1);
        let mut directions = Vec::new();
        for row in rows {
            let v = &v[row * r..][..r];
            let norm = v.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
            let scale = f64::from(1f32.copysign(g[row])) / norm.max(f64::MIN_POSITIVE);
            directions.extend(v.iter().map(|&v| (f64::from(v) * scale) as f32));
        }
        directions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_have_unit_length_and_the_sign_of_their_norm() {
        let g = [2.0, -0.1, 1.0, 1.0];
        let v = [3.0, 4.0, 3.0, -4.0, 0.0, 0.0, 0.0, 1e-30];
        assert_eq!(Prototypes::directions(&g, &v, 0..2), [0.6, 0.8, -0.6, 0.8]);
        assert_eq!(Prototypes::directions(&g, &v, [3, 2]), [0.0, 1.0, 0.0, 0.0]);
        assert!(Prototypes::directions(&g, &v, []).is_empty());
    }

    #[test]
    fn the_sign_of_a_norm_does_not_change_its_concentration() {
        let kappas: Vec<f64> = Prototypes::kappas(&[2.0, -0.5, 0.0], 0.5).collect();
        assert_eq!(kappas, [4.0, 1.0, 0.0]);
    }
}
