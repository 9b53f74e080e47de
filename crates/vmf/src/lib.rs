//! Von Mises-Fisher distributions: normalizer, mean resultant length, sampling, estimation, mixtures.
