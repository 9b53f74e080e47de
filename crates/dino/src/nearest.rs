//! The most similar of several names, for "did you mean".

/// The candidate most similar to `text` or to its last part, if one is close. Parts are separated by
/// dots, so that `heads` finds `model.heads`.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let similarity = |candidate: &str| {
        let whole = strsim::jaro_winkler(text, candidate);
        whole.max(strsim::jaro_winkler(&last(text), &last(candidate)) - 0.01)
    };
    candidates
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
