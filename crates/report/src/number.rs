//! Numbers in tables, pages and plots.

/// A number with at most three significant digits.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{value:.0e}");
    }
    let digits = if size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).clamp(0, 7) };
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A number with as many digits as tell it from one that is `difference` away, and at least as many as
/// [`short`] gives it.
pub fn short_beside(value: f64, difference: f64) -> String {
    let size = value.abs().max(difference.abs());
    let close = difference.is_finite() && difference != 0.0 && size < 1e6;
    if !close || difference.abs() >= size / 100.0 {
        return short(value);
    }
    let digits = (1 - difference.abs().log10().floor() as i32).clamp(0, 9);
    format!("{value:.*}", digits as usize)
}

/// A count with its noun: `1 class`, `2 classes`, `0 images`.
pub fn counted(count: usize, noun: &str) -> String {
    let of_consonant = |stem: &&str| count != 1 && !stem.ends_with(['a', 'e', 'i', 'o', 'u']);
    if let Some(stem) = noun.strip_suffix('y').filter(of_consonant) {
        return format!("{count} {stem}ies");
    }
    let ending = match noun {
        _ if count == 1 => "",
        noun if noun.ends_with("ss") || noun.ends_with("tch") => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}")
}

/// A duration in seconds as `12 days`, `3h 05m`, `4m 10s` or `9s`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0..72, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{} days", hours / 24),
    }
}

/// A share, 0 to 1, in percent.
pub fn percent(share: f64) -> String {
    format!("{} %", short(100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_numbers_keep_the_digits_that_differ() {
        let texts = [14.203, 14.218].map(|value| short_beside(value, 0.015));
        assert_eq!(texts, ["14.203", "14.218"]);
        assert_eq!([30.0, 35.0].map(|value| short_beside(value, 5.0)), ["30", "35"]);
        assert_eq!(short_beside(12.0, 0.0), "12");
        assert_eq!([0.0, 1e-5].map(|value| short_beside(value, 1e-5)), ["0", "1e-5"]);
        assert_eq!(short_beside(38.5749, 0.05), "38.575");
    }

    #[test]
    fn durations_have_two_units() {
        let times = [0.4, 59.0, 61.0, 3600.0 * 26.0 + 61.0, 86_400.0 * 12.4];
        assert_eq!(times.map(duration), ["0s", "59s", "1m 01s", "26h 01m", "12 days"]);
    }

    #[test]
    fn nouns_are_in_the_plural_unless_there_is_one() {
        let texts = [(0, "image"), (1, "thread"), (2, "epoch"), (2, "class"), (2, "patch")];
        let texts = texts.map(|(count, noun)| counted(count, noun));
        assert_eq!(texts, ["0 images", "1 thread", "2 epochs", "2 classes", "2 patches"]);
        let texts = [(1, "query"), (2, "query"), (2, "key")];
        let texts = texts.map(|(count, noun)| counted(count, noun));
        assert_eq!(texts, ["1 query", "2 queries", "2 keys"]);
    }

    #[test]
    fn short_numbers_have_at_most_three_significant_digits() {
        let texts = [0.0, 0.00125, 1e-4, 0.25, 1.0, 12.345, 512.0, 65536.0, 1e-7, 2e9].map(short);
        let expected = ["0", "0.00125", "1e-4", "0.25", "1", "12.3", "512", "65536", "1e-7", "2e9"];
        assert_eq!(texts, expected);
    }
}
