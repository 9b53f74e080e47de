//! Which patches hold most of the attention.

/// The strongest of these weights, which together hold the share `mass` of their sum. The weakest are dropped as long as
/// those dropped hold at most `1 − mass`; of equal ones the first is dropped first.
///
/// Source: the masks in the figures of Caron et al., *Emerging properties in self-supervised vision transformers*,
/// arXiv:2104.14294.
pub fn strongest(weights: &[f32], mass: f64) -> Vec<bool> {
    let total: f64 = weights.iter().map(|x| f64::from(*x)).sum();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|a, b| weights[*a].total_cmp(&weights[*b]));
    let (mut kept, mut dropped) = (vec![true; weights.len()], 0.0);
    for index in order {
        dropped += f64::from(weights[index]);
        if dropped > (1.0 - mass) * total {
            break;
        }
        kept[index] = false;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_hold_the_mass() {
        let weights = [0.1, 0.5, 0.05, 0.25, 0.1];
        assert_eq!(strongest(&weights, 0.6), [false, true, false, true, false]);
        assert_eq!(strongest(&weights, 0.4), [false, true, false, false, false]);
        assert_eq!(strongest(&weights, 1.0), [true; 5]);
        assert_eq!(strongest(&[], 0.6), [false; 0]);
    }
}
