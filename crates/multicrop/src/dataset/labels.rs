//! [`Labels`] turns the labels of a source into classes, by the same rule for every kind of source.
//!
//! A source gives each image a text, a number or nothing: a folder's name, the contents of
//! `key.cls`, a field of a list or of a parquet row.
//!
//! 1. Nothing, an empty text and a negative whole number such as `-1` mean that the image has no
//!    label. The image is kept, and so are the labels of the other images.
//! 2. If all other labels are whole numbers below [`MAX_CLASSES`], labels are these numbers, and
//!    there is a class for each number up to the largest. `2.0` is 2.
//! 3. Otherwise labels are names, including those that look like numbers. Classes are sorted by
//!    name.
//!
//! Folder names are always names: `0`, `1` and `10` are classes in this order, as in torchvision.
//! No label is a reason to refuse a source.

use std::collections::HashMap;

/// Limit on class numbers, because each number up to the largest gets a name.
pub(super) const MAX_CLASSES: u32 = 1 << 20;

/// Names of columns, fields and files that hold a label, most likely first.
pub(super) const LABEL_NAMES: [&str; 10] = [
    "label",
    "class",
    "labels",
    "category",
    "target",
    "cls",
    "class_name",
    "class_id",
    "label_id",
    "category_id",
];

/// Marks an image without a class.
const NONE: u32 = u32::MAX;

/// Class names and the class of each image; both are empty if no image has a label.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Labels {
    pub(super) classes: Vec<String>,
    class_of: Vec<u32>,
}

impl Labels {
    /// The class of image `index` of `len`.
    ///
    /// # Panics
    /// If there is no such image.
    pub(super) fn get(&self, index: usize, len: usize) -> Option<u32> {
        assert!(index < len, "image {index} of {len}");
        self.class_of.get(index).copied().filter(|&class| class != NONE)
    }

    /// Labels from texts: numbers if all texts are numbers, or else names.
    pub(super) fn from_texts<'a>(texts: impl Iterator<Item = Option<&'a [u8]>> + Clone) -> Self {
        let texts = texts.map(|text| match parse(text?.trim_ascii()) {
            Parsed::None => None,
            Parsed::Number(number) => Some((text?.trim_ascii(), Some(number))),
            Parsed::Name => Some((text?.trim_ascii(), None)),
        });
        let number = |label: Option<(&[u8], Option<u32>)>| match label {
            None => Some(None),
            Some((_, number)) => number.map(Some),
        };
        match texts.clone().map(number).collect::<Option<Vec<_>>>() {
            Some(numbers) => Self::from_classes(numbers.into_iter(), Vec::new()),
            None => Self::from_names(texts.map(|label| label.map(|(text, _)| text))),
        }
    }

    /// Labels from numbers; if one is too large for a class number, all become names.
    pub(super) fn from_numbers(numbers: impl Iterator<Item = Option<i64>> + Clone) -> Self {
        let numbers = numbers.map(|number| number.filter(|&number| number >= 0));
        let small = |number: Option<i64>| match number {
            None => Some(None),
            Some(number) => below_limit(number).map(Some),
        };
        match numbers.clone().map(small).collect::<Option<Vec<_>>>() {
            Some(numbers) => Self::from_classes(numbers.into_iter(), Vec::new()),
            None => {
                let texts: Vec<_> = numbers.map(|n| n.map(|n| n.to_string())).collect();
                Self::from_names(texts.iter().map(|text| text.as_deref().map(str::as_bytes)))
            }
        }
    }

    /// Labels from class numbers. `names` are the names of the first classes; other classes are
    /// named by their numbers.
    pub(super) fn from_classes(
        numbers: impl Iterator<Item = Option<u32>>,
        names: Vec<String>,
    ) -> Self {
        let class_of: Vec<u32> = numbers.map(|number| number.unwrap_or(NONE)).collect();
        let largest = class_of.iter().filter(|&&class| class != NONE).max();
        let Some(&largest) = largest else { return Self::default() };
        let mut classes = names;
        classes.extend((classes.len() as u32..=largest).map(|class| class.to_string()));
        Self { classes, class_of }
    }

    /// Labels from names; classes are sorted by name.
    pub(super) fn from_names<'a>(names: impl Iterator<Item = Option<&'a [u8]>>) -> Self {
        let (mut numbers, mut class_of) = (HashMap::new(), Vec::new());
        // neighbors often have the same name, which saves most look-ups
        let mut last: Option<(&[u8], u32)> = None;
        for name in names {
            let Some(name) = name else {
                class_of.push(NONE);
                continue;
            };
            let number = match last {
                Some((same, number)) if same == name => number,
                _ => {
                    let next = numbers.len() as u32;
                    *numbers.entry(name).or_insert(next)
                }
            };
            last = Some((name, number));
            class_of.push(number);
        }
        if numbers.is_empty() {
            return Self::default();
        }
        let mut classes: Vec<_> = numbers.into_iter().collect();
        classes.sort_unstable();
        let mut rank = vec![0; classes.len()];
        for (position, (_, number)) in classes.iter().enumerate() {
            rank[*number as usize] = position as u32;
        }
        for class in class_of.iter_mut().filter(|class| **class != NONE) {
            *class = rank[*class as usize];
        }
        class_of.shrink_to_fit();
        let name = |(name, _): (&[u8], u32)| String::from_utf8_lossy(name).into_owned();
        Self { classes: classes.into_iter().map(name).collect(), class_of }
    }
}

/// A text, parsed as a label.
enum Parsed {
    None,
    Number(u32),
    Name,
}

fn parse(text: &[u8]) -> Parsed {
    if text.is_empty() {
        return Parsed::None;
    }
    let (digits, zeros) = match text.iter().position(|&byte| byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    let negative = digits.first() == Some(&b'-');
    let digits = digits.strip_prefix(b"-").or(digits.strip_prefix(b"+")).unwrap_or(digits);
    let all = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    if digits.is_empty() || !all(digits) || zeros.iter().any(|&digit| digit != b'0') {
        return Parsed::Name;
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    match number.and_then(below_limit) {
        Some(0) => Parsed::Number(0),
        _ if negative => Parsed::None,
        Some(number) => Parsed::Number(number),
        None => Parsed::Name,
    }
}

fn below_limit(number: i64) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number < MAX_CLASSES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(labels: &Labels) -> (String, Vec<Option<u32>>) {
        let len = labels.class_of.len();
        (labels.classes.join(" "), (0..len).map(|index| labels.get(index, len)).collect())
    }

    fn texts(texts: &[&str]) -> (String, Vec<Option<u32>>) {
        shown(&Labels::from_texts(texts.iter().map(|text| Some(text.as_bytes()))))
    }

    #[test]
    fn labels_are_numbers_if_all_are_whole_and_small() {
        let numbers = ("0 1 2".to_owned(), vec![Some(2), Some(0), Some(2)]);
        assert_eq!(texts(&["2", "0", "2"]), numbers);
        assert_eq!(texts(&["2.0", "+0", " 02\n"]), numbers);
        assert_eq!(texts(&["2", "-0", "2.000"]), numbers);
    }

    #[test]
    fn other_labels_are_names_in_sorted_order() {
        assert_eq!(texts(&["dog", "cat"]), ("cat dog".into(), vec![Some(1), Some(0)]));
        assert_eq!(texts(&["2.5", "2"]), ("2 2.5".into(), vec![Some(1), Some(0)]));
        assert_eq!(texts(&["7", "9999999"]), ("7 9999999".into(), vec![Some(0), Some(1)]));
        let large = [Some(3), Some(1 << 40), None].into_iter();
        let large = shown(&Labels::from_numbers(large));
        assert_eq!(large, ("1099511627776 3".into(), vec![Some(1), Some(0), None]));
    }

    #[test]
    fn an_image_without_a_label_leaves_the_labels_of_others_alone() {
        assert_eq!(texts(&["1", "-1", "", "0"]).1, [Some(1), None, None, Some(0)]);
        assert_eq!(texts(&["b", "-1.0", " ", "a"]).1, [Some(1), None, None, Some(0)]);
        let numbers = shown(&Labels::from_numbers([Some(1), Some(-1), None].into_iter()));
        assert_eq!(numbers, ("0 1".into(), vec![Some(1), None, None]));
        assert_eq!(Labels::from_numbers([Some(-1), None].into_iter()), Labels::default());
        assert_eq!(texts(&["-1", ""]), (String::new(), vec![]));
    }

    #[test]
    fn classes_beyond_the_given_names_are_named_by_their_numbers() {
        let names = vec!["cat".to_owned(), "dog".to_owned()];
        let labels = Labels::from_classes([Some(0), Some(3)].into_iter(), names);
        assert_eq!(shown(&labels), ("cat dog 2 3".into(), vec![Some(0), Some(3)]));
    }
}
