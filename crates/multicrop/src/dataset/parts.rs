//! Recognizes the training, validation and test parts of a source, by the same rule in folders,
//! archives and the names of shards.
//!
//! The words are those of Hugging Face's `datasets`, in upper or lower case:
//!
//! ```text
//! train   train, training
//! val     val, validation, valid, dev
//! test    test, testing, eval, evaluation
//! ```
//!
//! A *folder* is a part if its name is such a word, apart from digits, punctuation and words such
//! as `images`: `Train`, `val2017`, `test_images`. `bullet_train` is a class. If no folder is a part
//! by that, those are whose names differ in such a word alone: `birds_train` and `birds_val`, but not
//! both these and `cats_train` and `cats_val`. A *file* belongs to a part if its name contains such a
//! word (`imagenet-train-0001.tar`), or else if its folder's name does.
//!
//! A source has parts if it has a training part and at least one other. The training part is the
//! default. `:test` selects the test part, or else the validation part.

use std::collections::BTreeMap;
use std::path::Path;

use super::Split;
use super::names::to_text;
use crate::error::Error;

/// The words for each part.
const WORDS: [(Split, &[&str]); 3] = [
    (Split::Train, &["train", "training"]),
    (Split::Val, &["val", "validation", "valid", "dev"]),
    (Split::Test, &["test", "testing", "eval", "evaluation"]),
];
/// Words that may accompany these in a folder's name.
const OTHERS: [&str; 8] = ["image", "images", "img", "imgs", "data", "dataset", "set", "split"];

/// The part that a folder with this name is, if any.
pub(super) fn split_of_folder(name: &[u8]) -> Option<Split> {
    let mut words = words(name).filter(|word| !is_one_of(word, &OTHERS));
    let part = split_of_word(words.next()?)?;
    words.next().is_none().then_some(part)
}

/// The part that each of these folders is, which lie beside each other.
pub(super) fn splits_of_folders<'a>(
    names: impl Iterator<Item = &'a [u8]> + Clone,
) -> Vec<Option<Split>> {
    let plain: Vec<_> = names.clone().map(split_of_folder).collect();
    if plain.iter().any(Option::is_some) {
        return plain;
    }
    let named: Vec<_> = names.map(part_and_rest).collect();
    let mut families = BTreeMap::<_, Vec<_>>::new();
    for (part, rest) in named.iter().flatten() {
        families.entry(rest).or_default().push(*part);
    }
    // a training part alone may be a class: `bullet_train`
    families.retain(|_, present| choose(present, None).is_some());
    let family = families.keys().next().filter(|_| families.len() == 1);
    let part = |named: &Option<(Split, Vec<u8>)>| {
        let (part, rest) = named.as_ref()?;
        (Some(&rest) == family).then_some(*part)
    };
    named.iter().map(part).collect()
}

/// The part that a folder's name has a word of, and the rest of the name in lower case. `None` for
/// names with several such words, such as `birds_train_val`.
fn part_and_rest(name: &[u8]) -> Option<(Split, Vec<u8>)> {
    let (mut parts, mut rest) = (Vec::new(), Vec::new());
    for piece in name.split_inclusive(is_separator) {
        let end = piece.len() - usize::from(piece.last().is_some_and(is_separator));
        let (word, separator) = piece.split_at(end);
        match split_of_word(word) {
            Some(part) => parts.push(part),
            None => rest.extend(word.to_ascii_lowercase()),
        }
        let plain = |byte: &u8| if byte.is_ascii_punctuation() { b' ' } else { *byte };
        rest.extend(separator.iter().map(plain));
    }
    match parts[..] {
        [part] => Some((part, rest)),
        _ => None,
    }
}

/// The part that a file belongs to, from its path relative to the source.
pub(super) fn split_of_file(path: &Path) -> Option<Split> {
    let names = path.components().rev().map(|part| part.as_os_str().as_encoded_bytes());
    names.filter_map(|name| words(name).find_map(split_of_word)).next()
}

fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(is_separator).filter(|word| !word.is_empty())
}

/// Letters beyond ASCII belong to words.
fn is_separator(byte: &u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphabetic()
}

fn split_of_word(word: &[u8]) -> Option<Split> {
    WORDS.iter().find(|(_, words)| is_one_of(word, words)).map(|(split, _)| *split)
}

fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// Chooses the part to read of a source with the parts `present`. `split` is the user's choice.
/// `None` if the source has no parts, or not that one.
pub(super) fn choose(present: &[Split], split: Option<Split>) -> Option<Split> {
    let has = |part: Split| present.contains(&part);
    match split {
        None => {
            (has(Split::Train) && (has(Split::Val) || has(Split::Test))).then_some(Split::Train)
        }
        Some(Split::Test) if !has(Split::Test) => has(Split::Val).then_some(Split::Val),
        Some(split) => has(split).then_some(split),
    }
}

/// The error for a source without a folder for `split`. It names those of `folders` that are parts.
pub(super) fn no_folder<'a>(
    path: &Path,
    split: Split,
    folders: impl Iterator<Item = &'a [u8]> + Clone,
) -> Error {
    let reason = match split {
        Split::Train => "there is no folder `train` in it",
        Split::Val => "there is no folder `val` in it",
        Split::Test => "there is no folder `test` or `val` in it",
    };
    let splits = splits_of_folders(folders.clone());
    let parts = folders.zip(splits).filter_map(|(folder, split)| {
        Some(format!("`{}` is `:{}`", to_text(folder), split?.name()))
    });
    let parts: Vec<_> = parts.collect();
    let reason = match parts.is_empty() {
        true => reason.to_owned(),
        false => format!("{reason}, but {}", parts.join(", ")),
    };
    Error::NoSuchSplit { path: path.into(), split: split.name(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_parts_if_their_whole_name_says_so() {
        let train = ["train", "Train", "TRAINING", "train2017", "train_images", "images-train"];
        for name in train {
            assert_eq!(split_of_folder(name.as_bytes()), Some(Split::Train), "{name}");
        }
        for name in ["val", "valid", "Validation", "dev", "val_512"] {
            assert_eq!(split_of_folder(name.as_bytes()), Some(Split::Val), "{name}");
        }
        for name in ["Test", "testing", "eval", "test-set"] {
            assert_eq!(split_of_folder(name.as_bytes()), Some(Split::Test), "{name}");
        }
        for name in ["bullet_train", "trains", "train station", "test tube", "images", "2017", ""] {
            assert_eq!(split_of_folder(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn folders_whose_names_differ_in_a_word_for_a_part_are_parts() {
        use Split::{Test, Train, Val};
        let splits = |names: &[&str]| splits_of_folders(names.iter().map(|name| name.as_bytes()));
        let of_birds = [Some(Train), Some(Val), None];
        assert_eq!(splits(&["birds_train", "Birds-val", "other"]), of_birds);
        assert_eq!(splits(&["birds test 2017", "birds train 2017"]), [Some(Test), Some(Train)]);
        let with_both = splits(&["birds_train", "birds_val", "birds_train_val", "old_test"]);
        assert_eq!(with_both, [Some(Train), Some(Val), None, None]);
        let of_classes: [&[&str]; 4] = [
            &["bullet_train", "car"],
            &["train_station", "test_tube"],
            &["cats_train", "cats_val", "dogs_train", "dogs_val"],
            &["fold1_train", "fold1_val", "fold2_train", "fold2_val"],
        ];
        for classes in of_classes {
            assert!(splits(classes).iter().all(Option::is_none), "{classes:?}");
        }
        assert_eq!(splits(&["train", "birds_val"]), [Some(Train), None]);
    }

    #[test]
    fn files_belong_to_the_part_that_their_name_or_else_their_folder_says() {
        let split_of = |path: &str| split_of_file(Path::new(path));
        assert_eq!(split_of("imagenet-train-0001.tar"), Some(Split::Train));
        assert_eq!(split_of("data/Validation-00000-of-00004.parquet"), Some(Split::Val));
        assert_eq!(split_of("train/deep/test-0.tar"), Some(Split::Test));
        assert_eq!(split_of("val/deep/0001.tar"), Some(Split::Val));
        assert_eq!(split_of("train0001.tar"), Some(Split::Train));
        assert_eq!(split_of("constrain-0.tar"), None);
    }

    #[test]
    fn an_error_says_what_the_parts_are_called() {
        let folders = ["Train", "cats", "evaluation"].map(str::as_bytes);
        let error = no_folder(Path::new("p"), Split::Val, folders.into_iter()).to_string();
        let parts = "no folder `val` in it, but `Train` is `:train`, `evaluation` is `:test`";
        assert!(error.ends_with(parts), "{error}");
        let error = no_folder(Path::new("p"), Split::Train, [].into_iter()).to_string();
        assert!(error.ends_with("no folder `train` in it"), "{error}");
    }

    #[test]
    fn training_is_the_default_and_test_may_be_the_validation_part() {
        use Split::{Test, Train, Val};
        assert_eq!(choose(&[Train, Val], None), Some(Train));
        assert_eq!(choose(&[Train, Val], Some(Test)), Some(Val));
        assert_eq!(choose(&[Train, Val, Test], Some(Test)), Some(Test));
        assert_eq!(choose(&[Train, Test], Some(Val)), None);
        assert_eq!(choose(&[Train], None), None);
        assert_eq!(choose(&[Train], Some(Train)), Some(Train));
        assert_eq!(choose(&[Val, Test], None), None);
    }
}
