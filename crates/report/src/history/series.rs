//! A [`Series`] is a number over steps, thinned so that a run of any length fits on a page.

/// Most points of a series.
const MOST: usize = 400;

/// A number over steps. Beyond 400 points, neighbors are joined, so that 200 to 400 are left: each is the mean of
/// equally many values, with the least and the largest of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    points: Vec<Point>,
    /// Values in each point but the last.
    per_point: usize,
    last: f64,
}

/// Some values in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Step of the first value.
    pub first: u64,
    /// Step of the last value.
    pub last: u64,
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
    count: usize,
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Vec::new(), per_point: 1, last: f64::NAN }
    }
}

impl Series {
    /// Adds a value. A step that is not after the last one replaces what came from it on. Values that are not
    /// finite are left out.
    pub fn push(&mut self, step: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        while self.points.last().is_some_and(|point| point.last >= step) {
            self.points.pop();
        }
        self.last = value;
        let new = Point { first: step, last: step, mean: value, min: value, max: value, count: 1 };
        match self.points.last_mut() {
            Some(point) if point.count < self.per_point => *point = point.joined(&new),
            _ => self.points.push(new),
        }
        if self.points.len() > MOST {
            let pairs = self.points.chunks(2);
            let joined = |pair: &[Point]| pair[1..].iter().fold(pair[0], |a, b| a.joined(b));
            self.points = pairs.map(joined).collect();
            self.per_point *= 2;
        }
    }

    /// The points, in the order of their steps.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The last value.
    pub fn last(&self) -> Option<f64> {
        (!self.points.is_empty()).then_some(self.last)
    }

    /// Values in each point but the last.
    pub fn per_point(&self) -> usize {
        self.per_point
    }

    /// The least and the largest value.
    pub fn range(&self) -> Option<(f64, f64)> {
        let ends = self.points.iter().map(|point| (point.min, point.max));
        ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

impl Point {
    /// The middle of its steps.
    pub fn step(&self) -> f64 {
        (self.first as f64 + self.last as f64) / 2.0
    }

    fn joined(&self, next: &Self) -> Self {
        let (a, b) = (self.count as f64, next.count as f64);
        Self {
            first: self.first,
            last: next.last,
            mean: (a * self.mean + b * next.mean) / (a + b),
            min: self.min.min(next.min),
            max: self.max.max(next.max),
            count: self.count + next.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_series_are_thinned_to_means_and_extremes() {
        let mut series = Series::default();
        for step in 1..=300_000_u64 {
            series.push(step, if step == 123_456 { 900.0 } else { (step % 2) as f64 });
        }
        let points = series.points();
        assert!((MOST / 2..=MOST).contains(&points.len()), "{}", points.len());
        assert_eq!((points[0].first, points[points.len() - 1].last), (1, 300_000));
        assert_eq!(series.range(), Some((0.0, 900.0)), "a spike of one step stays visible");
        assert_eq!((points[0].mean, series.last()), (0.5, Some(0.0)));
        assert!(points.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
    }

    #[test]
    fn a_resumed_run_replaces_what_it_does_again() {
        let mut series = Series::default();
        for (step, value) in [(1, 1.0), (2, 2.0), (3, 3.0), (2, 20.0), (3, f64::NAN)] {
            series.push(step, value);
        }
        let found: Vec<_> =
            series.points().iter().map(|point| (point.step(), point.mean)).collect();
        assert_eq!(found, [(1.0, 1.0), (2.0, 20.0)]);
    }
}
