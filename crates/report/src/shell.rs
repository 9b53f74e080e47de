//! Words of commands that people copy into a shell.

/// A word as a shell reads it: in quotes if it has spaces or other special letters.
pub fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-:=,+@".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn special_letters_are_quoted() {
        assert_eq!(quoted("runs/a-1:train"), "runs/a-1:train");
        assert_eq!(quoted("Meine Bilder"), "'Meine Bilder'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
