//! Plots as inline SVG: bars, lines and references over two axes. Colors are classes of the page.

use std::fmt::Write as _;

/// Extents of the drawing, in pixels.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 260.0;
/// Where the axes lie in it.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 468.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 214.0;

/// An axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis<'a> {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Whether distances are ratios.
    pub(super) logarithmic: bool,
    pub(super) label: &'a str,
}

impl<'a> Axis<'a> {
    /// A linear axis, which is never empty.
    pub(super) fn linear(low: f64, high: f64, label: &'a str) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, logarithmic: false, label }
    }

    /// A logarithmic axis from the power of ten below `low`; both ends must be positive.
    pub(super) fn logarithmic(low: f64, high: f64, label: &'a str) -> Self {
        let low = 10f64.powf(low.log10().floor());
        Self { low, high: high.max(10.0 * low), logarithmic: true, label }
    }

    /// Where a value lies, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// Round values to name: about six, or powers of ten.
    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let (first, last) = (self.low.log10().round() as i32, self.high.log10().floor() as i32);
            let every = ((last - first) / 5).max(1) as usize;
            return (first..=last).step_by(every).map(|power| 10f64.powi(power)).collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

/// A bar from the lower axis upwards.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    /// Its ends on the lower axis.
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) value: f64,
    /// What a pointer on it shows.
    pub(super) title: String,
}

/// A plot in the making.
pub(super) struct Plot<'a> {
    x: Axis<'a>,
    y: Axis<'a>,
    body: String,
}

impl<'a> Plot<'a> {
    /// Empty axes.
    pub(super) fn new(x: Axis<'a>, y: Axis<'a>) -> Self {
        let mut plot = Self { x, y, body: String::new() };
        plot.draw_axes(true);
        plot
    }

    /// The same where values of the lower axis are names of bars, which have none of their own.
    pub(super) fn of_names(x: Axis<'a>, y: Axis<'a>, names: &[(f64, String)]) -> Self {
        let mut plot = Self { x, y, body: String::new() };
        plot.draw_axes(false);
        for (value, name) in names {
            plot.text((plot.at_x(*value), BOTTOM + 17.0), "middle", name);
        }
        plot
    }

    fn at_x(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.x.place(value)
    }

    fn at_y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * self.y.place(value)
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = self.body.write_fmt(text);
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, text: &str) {
        let text = super::page::escape(text);
        self.add(format_args!("<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{text}</text>"));
    }

    fn draw_axes(&mut self, name_x: bool) {
        for value in self.y.ticks() {
            let y = self.at_y(value);
            self.add(format_args!("<path class='grid' d='M{LEFT} {y:.1}H{RIGHT}'/>"));
            self.text((LEFT - 7.0, y + 4.0), "end", &short(value));
        }
        self.add(format_args!("<path class='axis' d='M{LEFT} {BOTTOM}H{RIGHT}'/>"));
        let ticks = if name_x { self.x.ticks() } else { Vec::new() };
        for value in ticks {
            let x = self.at_x(value);
            self.add(format_args!("<path class='axis' d='M{x:.1} {BOTTOM}v4'/>"));
            self.text((x, BOTTOM + 17.0), "middle", &short(value));
        }
        let (x, y) = (super::page::escape(self.x.label), super::page::escape(self.y.label));
        let (middle, center) = ((LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0);
        self.add(format_args!(
            "<text class='label' x='{middle}' y='{}' text-anchor='middle'>{x}</text>\
             <text class='label' transform='translate(13 {center}) rotate(-90)' \
             text-anchor='middle'>{y}</text>",
            HEIGHT - 8.0
        ));
    }

    /// Bars of one series.
    pub(super) fn bars(&mut self, class: &str, bars: &[Bar]) {
        for bar in bars {
            let (left, right, top) = (self.at_x(bar.from), self.at_x(bar.to), self.at_y(bar.value));
            let (left, width) = (left + 0.75, (right - left - 1.5).max(0.75));
            let (height, title) = ((BOTTOM - top).max(0.0), super::page::escape(&bar.title));
            self.add(format_args!(
                "<rect class='{class}' x='{left:.1}' y='{top:.1}' width='{width:.1}' \
                 height='{height:.1}' rx='1.5'><title>{title}</title></rect>"
            ));
        }
    }

    /// Values written into the upper ends of bars, where no line can cross them.
    pub(super) fn values(&mut self, bars: &[Bar], text: impl Fn(&Bar) -> String) {
        for bar in bars {
            let (x, y) = ((self.at_x(bar.from) + self.at_x(bar.to)) / 2.0, self.at_y(bar.value));
            let (y, text) = (y + 16.0, super::page::escape(&text(bar)));
            self.add(format_args!(
                "<text class='inside' x='{x:.1}' y='{y:.1}' text-anchor='middle'>{text}</text>"
            ));
        }
    }

    /// A line through points.
    pub(super) fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let place = |&(x, y): &(f64, f64)| format!("{:.1},{:.1}", self.at_x(x), self.at_y(y));
        let points: Vec<String> = points.iter().map(place).collect();
        self.add(format_args!("<polyline class='{class}' points='{}'/>", points.join(" ")));
    }

    /// A dashed line across, with its name at the right end.
    pub(super) fn reference(&mut self, value: f64, name: &str) {
        let y = self.at_y(value);
        self.add(format_args!("<path class='reference' d='M{LEFT} {y:.1}H{RIGHT}'/>"));
        self.text((RIGHT, y - 5.0), "end", name);
    }

    /// The element; `title` says what it shows to those who do not see it.
    pub(super) fn finish(self, title: &str) -> String {
        let (title, body) = (super::page::escape(title), self.body);
        format!("<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{title}'>{body}</svg>")
    }
}

/// A number with at most three digits that matter, for people.
pub(super) fn short(value: f64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_three_digits_allow() {
        let shown = [0.0, 0.00125, 1e-4, 0.25, 1.0, 12.345, 512.0, 65536.0, 1e-7, 2e9].map(short);
        let expected = ["0", "0.00125", "1e-4", "0.25", "1", "12.3", "512", "65536", "1e-7", "2e9"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Axis::linear(31.2, 48.9, "").ticks(), [35.0, 40.0, 45.0]);
        assert_eq!(Axis::linear(28.8, 39.3, "").ticks(), [30.0, 32.0, 34.0, 36.0, 38.0]);
        assert_eq!(Axis::linear(2.0, 2.0, "").ticks().len(), 6);
        assert_eq!(Axis::logarithmic(0.02, 30.0, "").ticks(), [0.01, 0.1, 1.0, 10.0]);
    }

    #[test]
    fn text_in_a_plot_is_escaped() {
        let mut plot = Plot::new(Axis::linear(0.0, 1.0, "a<b"), Axis::linear(0.0, 1.0, "y"));
        plot.line("one", &[(0.0, 0.0), (1.0, 1.0)]);
        let text = plot.finish("x & y");
        assert!(text.contains("a&lt;b") && text.contains("x &amp; y"), "{text}");
        assert!(text.contains("points='56.0,214.0 468.0,14.0'"), "{text}");
    }
}
