//! Image retrieval by the protocol of revisited Oxford and Paris: average precision of rankings.
//!
//! | | positive | left out of the ranking |
//! | --- | --- | --- |
//! | easy | easy | junk, hard |
//! | medium | easy, hard | junk |
//! | hard | hard | junk, easy |
//!
//! Queries without a positive leave the mean.
//!
//! Source: Radenović et al., *Revisiting Oxford and Paris*, CVPR 2018.

use serde::Serialize;

/// Places at which precision is measured.
pub const CUT_OFFS: [usize; 3] = [1, 5, 10];

/// What is known of a query: places of database images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relevant {
    /// Images that show the object clearly.
    pub easy: Vec<usize>,
    /// Images that show it under difficult conditions.
    pub hard: Vec<usize>,
    /// Images that count neither as right nor as wrong.
    pub junk: Vec<usize>,
}

/// Which images of a query are positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difficulty {
    /// Easy ones; hard ones are left out.
    Easy,
    /// Easy and hard ones.
    Medium,
    /// Hard ones; easy ones are left out.
    Hard,
}

/// Scores of all queries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retrieval {
    /// Mean average precision, 0 to 1; `None` if no query has a positive.
    pub map: Option<f64>,
    /// Average precision of each query; `None` for one without a positive.
    pub ap: Vec<Option<f64>>,
    /// Mean precision at [`CUT_OFFS`], or at the place of the last positive if that is earlier.
    pub precision: Option<[f64; 3]>,
}

impl Relevant {
    fn positive(&self, difficulty: Difficulty) -> [&[usize]; 2] {
        match difficulty {
            Difficulty::Easy => [&self.easy, &[]],
            Difficulty::Medium => [&self.easy, &self.hard],
            Difficulty::Hard => [&self.hard, &[]],
        }
    }

    fn left_out(&self, difficulty: Difficulty) -> [&[usize]; 2] {
        match difficulty {
            Difficulty::Easy => [&self.junk, &self.hard],
            Difficulty::Medium => [&self.junk, &[]],
            Difficulty::Hard => [&self.junk, &self.easy],
        }
    }

    /// Places of the positive images in a ranking without those that are left out, ascending.
    fn places(&self, ranking: &[u32], difficulty: Difficulty) -> Vec<usize> {
        let [left_out, positive] = [self.left_out(difficulty), self.positive(difficulty)]
            .map(|sets| sets.concat())
            .map(|mut images| {
                images.sort_unstable();
                images
            });
        let is_in = |images: &[usize], image: u32| images.binary_search(&(image as usize)).is_ok();
        let counted = ranking.iter().filter(|&&image| !is_in(&left_out, image));
        let found = counted.enumerate().filter(|(_, image)| is_in(&positive, **image));
        found.map(|(place, _)| place).collect()
    }
}

/// Scores of rankings: for each query the whole database from best to worst.
///
/// # Panics
/// If there is not one ranking for each query.
pub fn score(rankings: &[Vec<u32>], queries: &[Relevant], difficulty: Difficulty) -> Retrieval {
    assert_eq!(rankings.len(), queries.len(), "a ranking for each query");
    let places: Vec<Vec<usize>> = rankings
        .iter()
        .zip(queries)
        .map(|(ranking, query)| query.places(ranking, difficulty))
        .collect();
    let ap: Vec<Option<f64>> = places.iter().map(|places| average_precision(places)).collect();
    let found: Vec<f64> = ap.iter().copied().flatten().collect();
    let count = found.len() as f64;
    let mean_precision = |cut_off| {
        places.iter().filter_map(|places| precision_at(cut_off, places)).sum::<f64>() / count
    };
    Retrieval {
        map: (!found.is_empty()).then(|| found.iter().sum::<f64>() / count),
        precision: (!found.is_empty()).then(|| CUT_OFFS.map(mean_precision)),
        ap,
    }
}

/// Average precision of a ranking that is cut off: `right` images that are not in it add nothing.
///
/// # Panics
/// If no image is right.
pub fn precision_of_first(ranking: &[u32], right: &[usize]) -> f64 {
    assert!(!right.is_empty(), "an image that is right");
    let is_right = |image: &u32| right.contains(&(*image as usize));
    let found = ranking.iter().enumerate().filter(|(_, image)| is_right(image));
    let places: Vec<usize> = found.map(|(place, _)| place).collect();
    let share = places.len() as f64 / right.len() as f64;
    average_precision(&places).map_or(0.0, |precision| share * precision)
}

/// Share of positive images among the first `cut_off`, or among those up to the last positive one.
fn precision_at(cut_off: usize, places: &[usize]) -> Option<f64> {
    let cut_off = cut_off.min(places.last()? + 1);
    let found = places.iter().filter(|place| **place < cut_off).count();
    Some(found as f64 / cut_off as f64)
}

/// Average precision by trapezoids:
///
/// ```text
/// AP = 1/n Σ_i ½ (i / r_i + (i + 1) / (r_i + 1))      r_i: place of positive image i, both from 0
/// ```
///
/// where `i / r_i` is 1 for `r_i = 0`. `None` without positive images.
fn average_precision(places: &[usize]) -> Option<f64> {
    if places.is_empty() {
        return None;
    }
    let step = |(i, &place): (usize, &usize)| {
        let before = if place == 0 { 1.0 } else { i as f64 / place as f64 };
        0.5 * (before + (i + 1) as f64 / (place + 1) as f64)
    };
    Some(places.iter().enumerate().map(step).sum::<f64>() / places.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `score_ap_from_ranks_1` of the Holidays package, by hand.
    #[test]
    fn what_a_cut_ranking_does_not_show_adds_nothing() {
        assert_eq!(precision_of_first(&[4, 2, 9], &[4]), 1.0);
        assert_eq!(precision_of_first(&[4, 2, 9], &[2]), 0.25);
        // (1 + 1) / 2 / 2 for image 4, and nothing for image 7.
        assert_eq!(precision_of_first(&[4, 2, 9], &[4, 7]), 0.5);
        assert_eq!(precision_of_first(&[4, 2, 9], &[7]), 0.0);
    }
}
