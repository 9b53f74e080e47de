//! [`LabelMerger`] merges the labels of all files of a data set into one list of classes.
//!
//! * If a file has class names, its numbers stand for these names, whatever numbers other files
//!   use. Classes are in the order in which the files list them.
//! * Numbers in a file without class names index the list of the other files, if these lists agree.
//! * If no file has class names, the rule for all sources applies ([`Labels`]).

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use crate::dataset::LeftOut;
use crate::dataset::labels::{Labels, MAX_CLASSES};

/// Marks an image without a label.
const NONE: u32 = u32::MAX;
/// Up to this number, 2⁵³, an `f64` represents every whole number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A label as a file stores it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Label<'a> {
    None,
    Number(i64),
    Name(&'a [u8]),
    /// A number that is not whole.
    Fraction(f64),
}

impl Label<'_> {
    pub(super) fn from_float(value: f64) -> Self {
        if value.is_nan() {
            Self::None
        } else if value.fract() == 0.0 && value.abs() <= MAX_EXACT {
            Self::Number(value as i64)
        } else {
            Self::Fraction(value)
        }
    }

    /// The label `unscaled / 10^scale`.
    pub(super) fn from_decimal(unscaled: i128, scale: u32) -> Self {
        let one = 10_i128.checked_pow(scale).unwrap_or(i128::MAX);
        match i64::try_from(unscaled / one) {
            Ok(whole) if unscaled % one == 0 => Self::Number(whole),
            _ => Self::Fraction(unscaled as f64 / one as f64),
        }
    }
}

/// A distinct label.
enum Value {
    Number(i64),
    Name(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// How many labels were left out, and the first of them.
#[derive(Default)]
struct Tally {
    count: usize,
    example: String,
}

impl Tally {
    fn add(&mut self, example: impl FnOnce() -> String) {
        if self.count == 0 {
            self.example = example();
        }
        self.count += 1;
    }

    fn left_out(self, what: &str) -> Option<LeftOut> {
        let (count, example) = (self.count, self.example);
        (count > 0).then(|| LeftOut { count, what: what.into(), example })
    }
}

/// Collects labels, one file after the other.
#[derive(Default)]
pub(super) struct LabelMerger<'a> {
    /// For each image the index of its label in `values`, or [`NONE`].
    value_of: Vec<u32>,
    values: Vec<Value>,
    names: HashMap<Vec<u8>, u32>,
    numbers: HashMap<i64, u32>,
    /// Indices of numbers below [`MAX_CLASSES`]; a table, because there may be millions of labels.
    small: Vec<u32>,
    /// The class names of each file that has some.
    lists: Vec<&'a [String]>,
    beyond: Tally,
}

impl<'a> LabelMerger<'a> {
    /// Starts a file whose labels are indices into `names`.
    pub(super) fn begin_list(&mut self, names: &'a [String]) {
        self.lists.push(names);
    }

    /// Adds the label of the next image of the file `path`; `names` are the class names of the
    /// file.
    pub(super) fn push(&mut self, path: &Path, label: Label<'_>, names: Option<&[String]>) {
        let value = match label {
            Label::Name(name) if !name.is_empty() => self.index_of_name(name),
            Label::Number(number) if number >= 0 => match names {
                None => self.index_of_number(number),
                Some(names) => match usize::try_from(number).ok().and_then(|i| names.get(i)) {
                    Some(name) => self.index_of_name(name.as_bytes()),
                    None => {
                        self.beyond.add(|| format!("{number} in {}", path.display()));
                        NONE
                    }
                },
            },
            Label::Fraction(value) => self.index_of_name(value.to_string().as_bytes()),
            Label::None | Label::Name(_) | Label::Number(_) => NONE,
        };
        self.value_of.push(value);
    }

    fn index_of_name(&mut self, name: &[u8]) -> u32 {
        if let Some(&index) = self.names.get(name) {
            return index;
        }
        let index = self.values.len() as u32;
        self.values.push(Value::Name(String::from_utf8_lossy(name).into_owned()));
        self.names.insert(name.to_vec(), index);
        index
    }

    fn index_of_number(&mut self, number: i64) -> u32 {
        let next = self.values.len() as u32;
        let index = if number < i64::from(MAX_CLASSES) {
            let number = number as usize;
            if self.small.len() <= number {
                self.small.resize(number + 1, NONE);
            }
            &mut self.small[number]
        } else {
            self.numbers.entry(number).or_insert(NONE)
        };
        if *index == NONE {
            *index = next;
            self.values.push(Value::Number(number));
        }
        *index
    }

    /// The labels of all images, and the values that were left out.
    pub(super) fn finish(self) -> (Labels, Vec<LeftOut>) {
        if self.lists.is_empty() {
            return (self.without_lists(), Vec::new());
        }
        let (classes, class_of) = self.listed_classes();
        let mut image_classes = Vec::with_capacity(self.value_of.len());
        let mut unnamed = Tally::default();
        for &value in &self.value_of {
            let class = class_of.get(value as usize).copied().flatten();
            if class.is_none() && value != NONE {
                unnamed.add(|| self.values[value as usize].to_string());
            }
            image_classes.push(class);
        }
        let left_out = [
            self.beyond.left_out("labels beyond the class names of their file"),
            unnamed.left_out(
                "labels that are numbers without class names, although other files have class names",
            ),
        ];
        let labels = Labels::from_classes(image_classes.into_iter(), classes);
        (labels, left_out.into_iter().flatten().collect())
    }

    /// The labels if no file has class names.
    fn without_lists(&self) -> Labels {
        let number = |value: &Value| match value {
            Value::Number(number) => Some(*number),
            Value::Name(_) => None,
        };
        if let Some(numbers) = self.values.iter().map(number).collect::<Option<Vec<_>>>() {
            return Labels::from_numbers(
                self.value_of.iter().map(|&value| numbers.get(value as usize).copied()),
            );
        }
        let texts: Vec<_> = self.values.iter().map(Value::to_string).collect();
        let text = |&value: &u32| texts.get(value as usize).map(String::as_bytes);
        Labels::from_texts(self.value_of.iter().map(text))
    }

    /// The classes in the lists of the files, and the class of each distinct label.
    fn listed_classes(&self) -> (Vec<String>, Vec<Option<u32>>) {
        let agree = self.lists.iter().all(|list| *list == self.lists[0]);
        let mut classes = self.lists[0].to_vec();
        let mut class_by_name = HashMap::new();
        for (class, name) in classes.iter().enumerate() {
            class_by_name.entry(name.clone()).or_insert(class as u32);
        }
        let names = self.values.iter().filter_map(|value| match value {
            Value::Name(name) => Some(name),
            Value::Number(_) => None,
        });
        // names that occur only in text columns come last, so that indices into the lists stay
        // valid
        let mut more: Vec<_> =
            names.filter(|name| !self.lists.iter().any(|list| list.contains(name))).collect();
        more.sort_unstable();
        for name in self.lists[1..].iter().copied().flatten().chain(more) {
            class_by_name.entry(name.clone()).or_insert_with(|| {
                classes.push(name.clone());
                classes.len() as u32 - 1
            });
        }
        let class = |value: &Value| match value {
            Value::Name(name) => class_by_name.get(name).copied(),
            Value::Number(n) => {
                u32::try_from(*n).ok().filter(|&n| agree && (n as usize) < self.lists[0].len())
            }
        };
        let class_of = self.values.iter().map(class).collect();
        (classes, class_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes, the class of each label and the notes, for files with these class names and
    /// labels.
    fn classes(
        files: &[(Option<&[String]>, &[Label<'_>])],
    ) -> (String, Vec<Option<u32>>, Vec<String>) {
        let mut merger = LabelMerger::default();
        for (names, labels) in files {
            names.iter().for_each(|names| merger.begin_list(names));
            labels.iter().for_each(|label| merger.push(Path::new("f"), label.clone(), *names));
        }
        let len = merger.value_of.len();
        let (labels, left_out) = merger.finish();
        let of = (0..len).map(|index| labels.get(index, len)).collect();
        (labels.classes.join(" "), of, left_out.iter().map(LeftOut::to_string).collect())
    }

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(String::from).collect()
    }

    #[test]
    fn classes_of_files_are_matched_by_name() {
        use Label::{Name, Number};
        let (a, b, c) = (names("cat dog"), names("dog cat"), names("ox cat"));
        let numbers = [Number(0), Number(1), Number(-1)];
        let found = classes(&[(Some(&a), &numbers), (Some(&b), &numbers), (Some(&c), &numbers)]);
        let of = [0, 1, 9, 1, 0, 9, 2, 0, 9].map(|class| Some(class).filter(|&class| class < 9));
        assert_eq!(found, ("cat dog ox".into(), of.to_vec(), vec![]));
        // text beside them
        let found = classes(&[(None, &[Name(b"emu"), Name(b"dog")]), (Some(&a), &[Number(1)])]);
        assert_eq!(found, ("cat dog emu".into(), vec![Some(2), Some(1), Some(1)], vec![]));
    }

    #[test]
    fn numbers_without_names_are_indices_if_all_lists_of_names_agree() {
        use Label::Number;
        let (a, b) = (names("cat dog"), names("dog cat"));
        let (of, plain): (_, &[_]) = (&[Number(1)][..], &[Number(1), Number(2)]);
        let (classes_of, found, left_out) = classes(&[(Some(&a), of), (None, plain)]);
        assert_eq!((classes_of.as_str(), found), ("cat dog", vec![Some(1), Some(1), None]));
        assert!(left_out[0].starts_with("1 labels that are numbers without"), "{left_out:?}");
        let (_, found, left_out) = classes(&[(Some(&a), of), (Some(&b), of), (None, plain)]);
        assert_eq!(found, [Some(1), Some(0), None, None]);
        assert!(left_out[0].starts_with("2 labels that are numbers without"), "{left_out:?}");
        let (_, found, left_out) = classes(&[(Some(&a), plain)]);
        assert_eq!(found, [Some(1), None]);
        assert!(
            left_out[0].contains("beyond the class names of their file (for example `2 in f`)")
        );
    }
}
