//! Plots as inline SVG: bars, lines and reference lines over two axes.
//!
//! By hand, because the page's style sheet colors the plots for light and dark, and bars show their
//! values on hover: `plotters` fixes colors and has no hover text; `kuva` has both, but compiles for
//! minutes (74,000 lines) and its SVG does not scale with the page.

use askama::Template;

use crate::number::short;

/// Size of the drawing in SVG units, which are pixels at 480 pixels width.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 260.0;
/// Edges of the area between the axes.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 468.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 214.0;
/// Width of a letter of a label on narrow screens, where labels are largest.
const LETTER: f64 = 9.0;

/// The range and the scale of an axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Low end.
    pub low: f64,
    /// High end.
    pub high: f64,
    scale: Scale,
    label: String,
}

#[derive(Debug, Clone, Copy)]
enum Scale {
    Linear,
    Logarithmic,
}

impl Axis {
    /// A linear axis. Widens an empty range to 1.
    pub fn linear(low: f64, high: f64, label: impl Into<String>) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, scale: Scale::Linear, label: label.into() }
    }

    /// A logarithmic axis from the power of ten at or below `low`. Both ends must be positive.
    pub fn logarithmic(low: f64, high: f64, label: impl Into<String>) -> Self {
        let low = 10f64.powf(low.log10().floor());
        Self { low, high: high.max(10.0 * low), scale: Scale::Logarithmic, label: label.into() }
    }

    /// Position of a value on the axis: 0 is the low end, 1 the high end. Clamps values outside.
    fn position(&self, value: f64) -> f64 {
        let position = match self.scale {
            Scale::Logarithmic => {
                (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
            }
            Scale::Linear => (value - self.low) / (self.high - self.low),
        };
        position.clamp(0.0, 1.0)
    }

    /// Values to label: about six round ones, or powers of ten.
    fn ticks(&self) -> Vec<f64> {
        if let Scale::Logarithmic = self.scale {
            let (first, last) = (self.low.log10().round() as i32, self.high.log10().floor() as i32);
            let every = ((last - first) / 5).max(1) as usize;
            return (first..=last).step_by(every).map(|power| 10f64.powi(power)).collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|multiple| multiple * power);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

impl Axis {
    /// Its ends and its scale, for scripts: `0 936 linear`.
    fn ends(&self) -> String {
        let scale = match self.scale {
            Scale::Linear => "linear",
            Scale::Logarithmic => "logarithmic",
        };
        format!("{} {} {scale}", self.low, self.high)
    }

    /// The ticks with their texts, which differ from each other.
    fn labels(&self) -> Vec<(f64, String)> {
        let ticks = self.ticks();
        let with =
            |text: &dyn Fn(f64) -> String| ticks.iter().map(|tick| (*tick, text(*tick))).collect();
        let (Scale::Linear, [first, second, ..]) = (self.scale, &ticks[..]) else {
            return with(&short);
        };
        let step = second - first;
        let is_exact = |tick: &f64| {
            let shown = short(*tick).parse::<f64>().unwrap_or(f64::NAN);
            (shown - tick).abs() < step / 10.0
        };
        let digits = (-(step * 1.001).log10().floor()).clamp(0.0, 9.0) as usize;
        if ticks.iter().all(is_exact) {
            with(&short)
        } else {
            with(&|tick| format!("{tick:.digits$}"))
        }
    }

    /// As many of the labels as have room side by side, evenly spread.
    fn labels_in_a_row(&self) -> Vec<(f64, String)> {
        let labels = self.labels();
        let longest = labels.iter().map(|(_, text)| text.len()).max().unwrap_or(0);
        let room = ((RIGHT - LEFT) / (LETTER * (longest + 1) as f64)).max(1.0);
        let every = (labels.len() as f64 / room).ceil().max(1.0) as usize;
        labels.into_iter().step_by(every).collect()
    }
}

/// A bar that stands on the x axis.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Left end, as a value of the x axis.
    pub from: f64,
    /// Right end, as a value of the x axis.
    pub to: f64,
    /// Height, as a value of the y axis.
    pub value: f64,
    /// Text shown on hover.
    pub title: String,
}

/// A shape in SVG coordinates. `class` is a CSS class of `page.css`, which sets the color.
enum Shape {
    Path {
        class: String,
        path: String,
    },
    Polyline {
        class: &'static str,
        /// Name of its series; empty if nobody asks for it.
        name: String,
        points: String,
    },
    Bar {
        class: &'static str,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        title: String,
    },
    Text {
        class: &'static str,
        x: f64,
        y: f64,
        anchor: &'static str,
        text: String,
    },
    /// A vertical line with a text on hover.
    Mark {
        class: &'static str,
        x: f64,
        title: String,
    },
}

/// A plot. Later shapes cover earlier ones.
#[derive(Template)]
#[template(path = "plot.svg")]
pub struct Plot {
    /// Description for screen readers.
    title: String,
    x: Axis,
    y: Axis,
    shapes: Vec<Shape>,
}

impl Plot {
    /// A plot with labelled axes and no data. `title` describes the plot to screen readers.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        let mut plot = Self { title: title.into(), x, y, shapes: Vec::new() };
        plot.draw_y_axis();
        for (value, text) in plot.x.labels_in_a_row() {
            let x = plot.x_of(value);
            plot.path("axis", format!("M{x:.1} {BOTTOM}v4"));
            plot.text_below_axis(x, text);
        }
        plot
    }

    /// A plot whose x axis shows names instead of numbers, each at its value of the x axis.
    pub fn with_names(
        title: impl Into<String>,
        x: Axis,
        y: Axis,
        names: Vec<(f64, String)>,
    ) -> Self {
        let mut plot = Self { title: title.into(), x, y, shapes: Vec::new() };
        plot.draw_y_axis();
        for (value, name) in names {
            plot.text_below_axis(plot.x_of(value), name);
        }
        plot
    }

    /// Draws bars of one series.
    pub fn bars(&mut self, class: &'static str, bars: &[Bar]) {
        for bar in bars {
            let (left, right, y) = (self.x_of(bar.from), self.x_of(bar.to), self.y_of(bar.value));
            self.shapes.push(Shape::Bar {
                class,
                x: left + 0.75,
                y,
                width: (right - left - 1.5).max(0.75),
                height: (BOTTOM - y).max(0.0),
                title: bar.title.clone(),
            });
        }
    }

    /// Writes `text` of each bar at its foot, where a reference line crosses it least.
    pub fn bar_texts(&mut self, bars: &[Bar], text: impl Fn(&Bar) -> String) {
        for bar in bars {
            let x = (self.x_of(bar.from) + self.x_of(bar.to)) / 2.0;
            let (y, text) = (BOTTOM - 7.0, text(bar));
            self.shapes.push(Shape::Text { class: "inside", x, y, anchor: "middle", text });
        }
    }

    /// Draws a line through points.
    pub fn line(&mut self, class: &'static str, points: &[(f64, f64)]) {
        self.line_of("", class, points);
    }

    /// Draws the line of a series, whose name scripts can show.
    pub fn line_of(&mut self, name: &str, class: &'static str, points: &[(f64, f64)]) {
        let position = |&(x, y): &(f64, f64)| format!("{:.1},{:.1}", self.x_of(x), self.y_of(y));
        let points: Vec<String> = points.iter().map(position).collect();
        let (name, points) = (name.to_owned(), points.join(" "));
        self.shapes.push(Shape::Polyline { class, name, points });
    }

    /// Fills the area between a lower and an upper line: `(x, low, high)`.
    pub fn band(&mut self, class: &'static str, edges: &[(f64, f64, f64)]) {
        let there = edges.iter().map(|&(x, _, high)| (x, high));
        let back = edges.iter().rev().map(|&(x, low, _)| (x, low));
        let position = |(x, y)| format!("{:.1} {:.1}", self.x_of(x), self.y_of(y));
        let corners: Vec<String> = there.chain(back).map(position).collect();
        if !corners.is_empty() {
            self.path(&format!("band {class}"), format!("M{}Z", corners.join("L")));
        }
    }

    /// Draws a point, which a line of a single value would not show.
    pub fn dot(&mut self, class: &'static str, (x, y): (f64, f64)) {
        let (x, y) = (self.x_of(x), self.y_of(y));
        self.path(
            &format!("dot {class}"),
            format!("M{:.1} {y:.1}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z", x - 3.0),
        );
    }

    /// Marks a value of the x axis by a vertical line. `title` is its text on hover.
    pub fn mark(&mut self, class: &'static str, x: f64, title: String) {
        self.shapes.push(Shape::Mark { class, x: self.x_of(x), title });
    }

    /// Draws a dashed horizontal line with its name at the left end.
    pub fn reference_at_left(&mut self, value: f64, name: &str) {
        let y = self.y_of(value);
        self.path("reference", format!("M{LEFT} {y:.1}H{RIGHT}"));
        let (text, x) = (name.to_owned(), LEFT + 4.0);
        self.shapes.push(Shape::Text { class: "tick", x, y: y - 5.0, anchor: "start", text });
    }

    /// Draws a dashed horizontal line with its name at the right end.
    pub fn reference(&mut self, value: f64, name: &str) {
        let y = self.y_of(value);
        self.path("reference", format!("M{LEFT} {y:.1}H{RIGHT}"));
        let text = name.to_owned();
        self.shapes.push(Shape::Text { class: "tick", x: RIGHT, y: y - 5.0, anchor: "end", text });
    }

    fn x_of(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.x.position(value)
    }

    fn y_of(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * self.y.position(value)
    }

    fn path(&mut self, class: &str, path: String) {
        self.shapes.push(Shape::Path { class: class.to_owned(), path });
    }

    fn text_below_axis(&mut self, x: f64, text: String) {
        let (y, anchor) = (BOTTOM + 19.0, "middle");
        self.shapes.push(Shape::Text { class: "tick", x, y, anchor, text });
    }

    /// Draws the grid with the numbers of the y axis, and the line of the x axis.
    fn draw_y_axis(&mut self) {
        for (value, text) in self.y.labels() {
            let y = self.y_of(value);
            self.path("grid", format!("M{LEFT} {y:.1}H{RIGHT}"));
            let (x, y) = (LEFT - 7.0, y + 4.0);
            self.shapes.push(Shape::Text { class: "tick", x, y, anchor: "end", text });
        }
        self.path("axis", format!("M{LEFT} {BOTTOM}H{RIGHT}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Axis::linear(31.2, 48.9, "").ticks(), [35.0, 40.0, 45.0]);
        assert_eq!(Axis::linear(28.8, 39.3, "").ticks(), [30.0, 32.0, 34.0, 36.0, 38.0]);
        assert_eq!(Axis::linear(2.0, 2.0, "").ticks().len(), 6);
        assert_eq!(Axis::logarithmic(0.02, 30.0, "").ticks(), [0.01, 0.1, 1.0, 10.0]);
    }

    #[test]
    fn labels_of_a_narrow_axis_differ() {
        let labels = |low, high| {
            let labels = Axis::linear(low, high, "").labels();
            labels.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels(14.2, 14.3), "14.20 14.22 14.24 14.26 14.28 14.30");
        let row = Axis::linear(33.3084, 33.3112, "").labels_in_a_row();
        let row: Vec<_> = row.iter().map(|(_, text)| &text[..]).collect();
        assert_eq!(row, ["33.3085", "33.3095", "33.3105"]);
        assert_eq!(labels(0.0, 50.0), "0 10 20 30 40 50");
    }

    #[test]
    fn text_in_a_plot_is_escaped() {
        let (x, y) = (Axis::linear(0.0, 1.0, "a<b"), Axis::linear(0.0, 1.0, "y"));
        let mut plot = Plot::new("x & y", x, y);
        plot.line("one", &[(0.0, 0.0), (1.0, 1.0)]);
        let text = plot.render().unwrap();
        assert!(text.contains("a&#60;b") && text.contains("x &#38; y"), "{text}");
        assert!(text.contains("points='70.0,214.0 468.0,14.0'"), "{text}");
    }
}
