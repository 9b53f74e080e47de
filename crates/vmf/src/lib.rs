//! Von Mises-Fisher distributions: normalizer, mean resultant length, sampling, estimation,
//! mixtures.
//!
//! The von Mises-Fisher distribution is the counterpart of a Gaussian on the unit sphere, and the
//! natural model of normalized embeddings. Its normalizing constant contains a Bessel function,
//! which leaves the range of f64 above a few hundred dimensions. This crate computes the constant
//! to full f64 accuracy for 2 to 4096 dimensions and concentrations from 0 to 1e5. Densities,
//! entropies, samples, estimates and mixtures build on it.
//!
//! All functions are pure and work in f64: no files, no tensors, no state. Randomness comes in as
//! an argument.
//!
//! # Example
//!
//! Two groups of embeddings share one mean direction and differ only in their concentration.
//! K-means cannot separate them; a mixture can.
//!
//! ```
//! use streams::{Key, Purpose};
//! use vmf::{EmOptions, VonMisesFisher, fit};
//!
//! let p = 64;
//! let mut north = vec![0.0; p];
//! north[0] = 1.0;
//! let mut rng = Key::new(0, Purpose::Estimate).open();
//!
//! let mut points = VonMisesFisher::new(north.clone(), 500.0)?.sample_many(300, &mut rng);
//! points.extend(VonMisesFisher::new(north, 20.0)?.sample_many(700, &mut rng));
//!
//! let fit = fit(&points, p, &EmOptions { components: 2, ..EmOptions::default() }, &mut rng)?;
//! let mut kappas = fit.mixture.kappas().to_vec();
//! kappas.sort_by(f64::total_cmp);
//! assert!((kappas[0] - 20.0).abs() < 2.0 && (kappas[1] - 500.0).abs() < 25.0);
//!
//! // The normalizer makes the densities of components with different concentrations comparable:
//! let gain = vmf::log_normalizer_ratio(256, 25.0); // log C(κ) − log C(0)
//! assert!((gain + 1.214_999).abs() < 1e-6);
//! # Ok::<(), vmf::Error>(())
//! ```
//!
//! # Notation
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | p | `p` | dimension of the ambient space; the sphere is S^(p − 1) |
//! | y | `y`, `points` | a unit vector `[p]`; n unit vectors `[n, p]`, row-major |
//! | μ | `mean_direction` | unit vector `[p]` around which the density is centered |
//! | κ | `kappa` | concentration, 0 for the uniform distribution |
//! | ν | `nu` | order of the Bessel function, p/2 − 1 |
//! | I_ν(κ) | | modified Bessel function of the first kind |
//! | C_p(κ) | [`log_normalizer`] | normalizing constant, κ^ν / ((2π)^(p/2) I_ν(κ)) |
//! | b(κ) | [`log_normalizer_ratio`], [`Normalizer`] | log C_p(κ) − log C_p(0) |
//! | A_p(κ) | [`mean_resultant_length`] | I_{p/2}(κ) / I_{p/2−1}(κ) = E\[μᵀy\] = −b′(κ) |
//! | r̄ | `r` | length of the mean of observed unit vectors |
//! | κ̂ | [`max_likelihood_kappa`] | the κ with A_p(κ) = r̄ |
//! | π_k | `weights` | weight of component k of a mixture |
//! | q, t, S | | √(ν² + κ²), ν/q and the sum of corrections of the uniform (Debye) expansion |
//!
//! # Which function
//!
//! | I have | I want | I call |
//! |---|---|---|
//! | concentrations of prototypes | the log-normalizer in their logits, and its slope | [`Normalizer::fill`] |
//! | a mean direction and κ | density, entropy, divergence, samples | [`VonMisesFisher`] |
//! | unit vectors | κ̂ | [`max_likelihood_kappa`] of the norm of their mean |
//! | unit vectors | a mixture | [`fit`] |
//! | a mixture and a unit vector | responsibilities | [`Mixture::log_responsibilities`] |

#![forbid(unsafe_code)]

mod debye;
mod distribution;
mod em;
mod error;
mod estimate;
mod gamma;
mod mixture;
mod normalizer;
mod ratio;
mod sample;
mod series;
mod uniform;

pub use debye::{DebyeTerms, EXACT_BELOW, Normalizer};
pub use distribution::{VonMisesFisher, entropy, kl_divergence};
pub use em::{EmFit, EmOptions, EmStop, fit};
pub use error::Error;
pub use estimate::{approximate_kappa, max_likelihood_kappa};
pub use mixture::Mixture;
pub use normalizer::{log_normalizer, log_normalizer_at_zero, log_normalizer_ratio};
pub use ratio::{
    mean_resultant_length, mean_resultant_length_complement, mean_resultant_length_slope,
};
