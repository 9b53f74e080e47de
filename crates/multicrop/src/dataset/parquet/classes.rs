//! The labels of all files of a data set, brought to one list of classes.
//!
//! * Text and numbers are labels; a null, NaN, an empty text and a negative number are none.
//! * Numbers that a file names are classes by these names, whatever number another file gives them.
//!   The classes are in the order in which the files list them.
//! * Numbers of a file without names are positions in the list of the other files, if these agree.
//! * Without any names: if all labels are numbers below 2^20, each number up to the largest is a class;
//!   else each distinct label is one.

use std::collections::HashMap;
use std::path::Path;

use crate::dataset::LeftOut;
use crate::dataset::labels::MAX_CLASSES;

/// In place of a class: there is none.
const NONE: u32 = u32::MAX;
/// The largest whole number up to which a float has all of them.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A label as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Label<'a> {
    None,
    Number(i64),
    Name(&'a [u8]),
    /// A number that is not whole.
    Fraction(f64),
}

impl Label<'_> {
    pub(super) fn of_float(value: f64) -> Self {
        if value.is_nan() {
            Self::None
        } else if value.fract() == 0.0 && value.abs() <= MAX_EXACT {
            Self::Number(value as i64)
        } else {
            Self::Fraction(value)
        }
    }

    /// The label `unscaled / 10^scale`.
    pub(super) fn of_decimal(unscaled: i128, scale: u32) -> Self {
        let one = 10_i128.checked_pow(scale).unwrap_or(i128::MAX);
        match i64::try_from(unscaled / one) {
            Ok(whole) if unscaled % one == 0 => Self::Number(whole),
            _ => Self::Fraction(unscaled as f64 / one as f64),
        }
    }
}

/// A distinct label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Value {
    Number(i64),
    Name(String),
}

/// How often something was left out, and where first.
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

/// Labels as they are read, one file after the other.
#[derive(Default)]
pub(super) struct Pool<'a> {
    /// For each image the place of its label among `values`, or [`NONE`].
    of: Vec<u32>,
    values: Vec<Value>,
    names: HashMap<Vec<u8>, u32>,
    numbers: HashMap<i64, u32>,
    /// The places of numbers below [`MAX_CLASSES`]: a data set may have millions of them.
    small: Vec<u32>,
    /// The class names of each file that has some.
    lists: Vec<&'a [String]>,
    fractions: Tally,
    beyond: Tally,
    unnamed: Tally,
}

impl<'a> Pool<'a> {
    /// Starts a file whose labels are positions in `names`.
    pub(super) fn begin_list(&mut self, names: &'a [String]) {
        self.lists.push(names);
    }

    /// Takes in the label of the next image of the file `path`; `names` are those of the file.
    pub(super) fn push(&mut self, path: &Path, label: Label<'_>, names: Option<&[String]>) {
        let place = match label {
            Label::Name(name) if !name.is_empty() => self.place_of_name(name),
            Label::Number(number) if number >= 0 => match names {
                None => self.place_of_number(number),
                Some(names) => match usize::try_from(number).ok().and_then(|i| names.get(i)) {
                    Some(name) => self.place_of_name(name.as_bytes()),
                    None => {
                        self.beyond.add(|| format!("{number} in {}", path.display()));
                        NONE
                    }
                },
            },
            Label::Fraction(value) => {
                self.fractions.add(|| format!("{value} in {}", path.display()));
                NONE
            }
            Label::None | Label::Name(_) | Label::Number(_) => NONE,
        };
        self.of.push(place);
    }

    fn place_of_name(&mut self, name: &[u8]) -> u32 {
        if let Some(&place) = self.names.get(name) {
            return place;
        }
        let place = self.values.len() as u32;
        self.values.push(Value::Name(String::from_utf8_lossy(name).into_owned()));
        self.names.insert(name.to_vec(), place);
        place
    }

    fn place_of_number(&mut self, number: i64) -> u32 {
        let next = self.values.len() as u32;
        let place = if number < i64::from(MAX_CLASSES) {
            let number = number as usize;
            if self.small.len() <= number {
                self.small.resize(number + 1, NONE);
            }
            &mut self.small[number]
        } else {
            self.numbers.entry(number).or_insert(NONE)
        };
        if *place == NONE {
            *place = next;
            self.values.push(Value::Number(number));
        }
        *place
    }

    /// The classes, the class of each image, and what is no label.
    pub(super) fn finish(mut self) -> (Vec<String>, Vec<Option<u32>>, Vec<LeftOut>) {
        let (classes, class_of) = if self.lists.is_empty() {
            from_values(&self.values)
        } else {
            self.from_lists()
        };
        let mut of = Vec::with_capacity(self.of.len());
        for &place in &self.of {
            let class = class_of.get(place as usize).copied().flatten();
            if class.is_none() && place != NONE && !self.lists.is_empty() {
                let value = &self.values[place as usize];
                self.unnamed.add(|| format!("{value:?}"));
            }
            of.push(class);
        }
        let left_out = [
            self.fractions.left_out("labels that are neither whole numbers nor names"),
            self.beyond.left_out("labels beyond the class names of their file"),
            self.unnamed.left_out("labels without class names, where the names of other files do not tell them"),
        ];
        (classes, of, left_out.into_iter().flatten().collect())
    }

    /// Classes that files list by their names, and the class of each distinct label.
    fn from_lists(&self) -> (Vec<String>, Vec<Option<u32>>) {
        let agree = self.lists.iter().all(|list| *list == self.lists[0]);
        let mut classes = self.lists[0].to_vec();
        let mut places = HashMap::new();
        for (class, name) in classes.iter().enumerate() {
            places.entry(name.clone()).or_insert(class as u32);
        }
        let names = self.values.iter().filter_map(|value| match value {
            Value::Name(name) => Some(name),
            Value::Number(_) => None,
        });
        // names that only text columns have come last, so that positions in the lists stay
        let mut more: Vec<_> = names.filter(|name| !self.lists.iter().any(|list| list.contains(name))).collect();
        more.sort_unstable();
        for name in self.lists[1..].iter().copied().flatten().chain(more) {
            places.entry(name.clone()).or_insert_with(|| {
                classes.push(name.clone());
                classes.len() as u32 - 1
            });
        }
        let class = |value: &Value| match value {
            Value::Name(name) => places.get(name).copied(),
            Value::Number(n) => {
                u32::try_from(*n).ok().filter(|&n| agree && (n as usize) < self.lists[0].len())
            }
        };
        let class_of = self.values.iter().map(class).collect();
        (classes, class_of)
    }
}

/// Classes of labels that no file names, and the class of each distinct label.
fn from_values(values: &[Value]) -> (Vec<String>, Vec<Option<u32>>) {
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number),
        Value::Name(name) => name.parse().ok(),
    };
    let numbers: Option<Vec<i64>> = values.iter().map(number).collect();
    let in_range = |n: i64| u32::try_from(n).ok().filter(|&n| n < MAX_CLASSES);
    if let Some(numbers) = &numbers {
        let large = numbers.iter().any(|&n| n >= i64::from(MAX_CLASSES));
        if !large {
            let classes: Vec<_> = numbers.iter().map(|&n| in_range(n)).collect();
            let count = classes.iter().flatten().max().map_or(0, |&max| max + 1);
            return ((0..count).map(|class| class.to_string()).collect(), classes);
        }
    }
    let text = |value: &Value| match value {
        Value::Number(number) => number.to_string(),
        Value::Name(name) => name.clone(),
    };
    // -1 stands for no label among names too
    let texts: Vec<_> = values
        .iter()
        .map(|value| number(value).is_none_or(|n| n >= 0).then(|| text(value)))
        .collect();
    let mut classes: Vec<_> = texts.iter().flatten().cloned().collect();
    match numbers {
        Some(_) => classes.sort_by_key(|text| text.parse::<i64>().unwrap_or(0)),
        None => classes.sort_unstable(),
    }
    classes.dedup();
    let places: HashMap<_, _> = classes.iter().zip(0_u32..).collect();
    let class_of = texts.iter().map(|text| places.get(text.as_ref()?).copied()).collect();
    (classes, class_of)
}
