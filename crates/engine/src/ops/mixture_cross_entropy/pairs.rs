//! Which rows of student and teacher are compared, and what a comparison weighs.

/// The pairs of a loss.
#[derive(Debug, Clone, Copy)]
pub enum Pairs<'a> {
    /// Rows are crops × images, crop-major, and the teacher's crops are the first ones of the
    /// student. A row is compared with the other crops of its image: a mean over all such pairs.
    Views {
        /// `Q`, crops of the teacher.
        teacher_crops: usize,
        /// `V`, crops of the student.
        student_crops: usize,
    },
    /// Student row `i` is compared with teacher row `teacher[i]` alone: a sum of `weights[i]` each.
    /// Other teacher rows count for the statistic only.
    Rows {
        /// Strictly ascending indices of teacher rows, one for each student row.
        teacher: &'a [u32],
        /// One for each student row.
        weights: &'a [f32],
    },
}

/// An arithmetic progression: how both kinds of pairs lie in memory.
#[derive(Clone, Copy)]
struct Progression {
    first: usize,
    step: usize,
    count: usize,
}

impl Progression {
    #[inline(always)]
    fn iter(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |n| self.first + n * self.step)
    }
}

impl Pairs<'_> {
    /// Targets that a student row has at most: places for it in a table `[student rows, slots]`.
    pub(super) fn slots(&self) -> usize {
        match *self {
            Self::Views { teacher_crops, .. } => teacher_crops,
            Self::Rows { .. } => 1,
        }
    }

    /// The teacher rows that student row `i` of `rows` is compared with, and the slot of each.
    #[inline(always)]
    pub(super) fn targets(&self, i: usize, rows: usize) -> impl Iterator<Item = (usize, usize)> {
        let (own, targets) = match *self {
            Self::Views { teacher_crops, student_crops } => {
                let images = rows / student_crops;
                let (own, first) = (i / images, i % images);
                (own, Progression { first, step: images, count: teacher_crops })
            }
            Self::Rows { teacher, .. } => {
                let first = teacher[i] as usize;
                (usize::MAX, Progression { first, step: 0, count: 1 })
            }
        };
        targets.iter().enumerate().filter(move |&(slot, _)| slot != own).map(|(slot, j)| (j, slot))
    }

    /// The places of the students of teacher row `j` in the table `[student rows, slots]`.
    pub(super) fn places(&self, j: usize, teacher_rows: usize) -> impl Iterator<Item = usize> {
        let places = match *self {
            Self::Views { teacher_crops, student_crops } => {
                let images = teacher_rows / teacher_crops;
                let (q, image) = (j / images, j % images);
                let first = image * teacher_crops + q;
                Progression { first, step: images * teacher_crops, count: student_crops }
            }
            Self::Rows { teacher, .. } => {
                let found = teacher.binary_search(&(j as u32)).ok();
                Progression { first: found.unwrap_or(0), step: 0, count: found.iter().count() }
            }
        };
        places.iter()
    }

    /// What each comparison of student row `i` weighs; `rows` are those of the student.
    #[inline(always)]
    pub(super) fn weight(&self, i: usize, rows: usize) -> f64 {
        match *self {
            // 1 / (B Q (V − 1))
            Self::Views { teacher_crops, student_crops } => {
                let images = rows / student_crops;
                1.0 / (images * teacher_crops * (student_crops - 1)).max(1) as f64
            }
            Self::Rows { weights, .. } => f64::from(weights[i]),
        }
    }

    /// # Panics
    /// If there are other rows than these: a caller's mistake.
    pub(super) fn check(&self, student_rows: usize, teacher_rows: usize) {
        match *self {
            Self::Views { teacher_crops, student_crops } => {
                assert!(teacher_crops <= student_crops, "the teacher's crops are the student's");
                let images = teacher_rows / teacher_crops;
                assert_eq!(teacher_rows, teacher_crops * images, "teacher rows");
                assert_eq!(student_rows, student_crops * images, "student rows");
            }
            Self::Rows { teacher, weights } => {
                assert_eq!((teacher.len(), weights.len()), (student_rows, student_rows), "pairs");
                assert!(teacher.is_sorted_by(|a, b| a < b), "teacher rows ascend");
                let inside = teacher.last().is_none_or(|&last| (last as usize) < teacher_rows);
                assert!(inside, "teacher rows");
            }
        }
    }
}
