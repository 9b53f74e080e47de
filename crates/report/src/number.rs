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

/// A share, 0 to 1, in percent.
pub fn percent(share: f64) -> String {
    format!("{} %", short(100.0 * share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_have_at_most_three_significant_digits() {
        let texts = [0.0, 0.00125, 1e-4, 0.25, 1.0, 12.345, 512.0, 65536.0, 1e-7, 2e9].map(short);
        let expected = ["0", "0.00125", "1e-4", "0.25", "1", "12.3", "512", "65536", "1e-7", "2e9"];
        assert_eq!(texts, expected);
    }
}
