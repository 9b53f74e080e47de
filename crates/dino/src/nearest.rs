//! The most similar of several names, for "did you mean".

/// The candidate most similar to `text` or to its last part, if one is close. Parts are separated by
/// dots, so that `heads` finds `model.heads`. A candidate that begins with `text` comes first, so that
/// `vit_s` finds `vit_small` and not `vit_base`.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let similarity = |candidate: &str| {
        let whole = strsim::jaro_winkler(text, candidate);
        let begins = text.len() >= 3 && candidate.starts_with(text);
        let whole = if begins { 1.0 + whole } else { whole };
        whole.max(strsim::jaro_winkler(&last(text), &last(candidate)) - 0.01)
    };
    candidates
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_beginning_comes_before_a_likeness() {
        let sizes = ["vit_tiny", "vit_small", "vit_base"];
        assert_eq!(nearest("vit_s", sizes.into_iter()).as_deref(), Some("vit_small"));
        assert_eq!(nearest("vit_bsae", sizes.into_iter()).as_deref(), Some("vit_base"));
        assert_eq!(
            nearest("heads", ["model.heads", "model.depth"].into_iter()).as_deref(),
            Some("model.heads")
        );
        assert_eq!(nearest("resnet50", sizes.into_iter()), None);
    }
}
