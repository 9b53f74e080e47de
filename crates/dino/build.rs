//! Takes the doc comments of the configuration's keys out of `src/config/`, so that the program has them
//! at run time (`config::keys`).

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

/// Name of a section, the file of its struct, and the struct.
const SECTIONS: [(&str, &str, &str); 9] = [
    ("", "src/config.rs", "Config"),
    ("init", "src/config/init.rs", "Init"),
    ("model", "src/config/model.rs", "Model"),
    ("data", "src/config/data.rs", "Data"),
    ("objective", "src/config/objective.rs", "Objective"),
    ("masking", "src/config/masking.rs", "Masking"),
    ("optim", "src/config/optim.rs", "Optim"),
    ("eval", "src/config/eval.rs", "Eval"),
    ("run", "src/config/run.rs", "Run"),
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut table = String::from("[\n");
    for (section, file, name) in SECTIONS {
        println!("cargo::rerun-if-changed={file}");
        let source = fs::read_to_string(file)?;
        let Documented { doc, fields } = documented(&source, name);
        let is_key = |field: &str| SECTIONS.iter().all(|(section, ..)| *section != field);
        let keys: String = fields
            .iter()
            .filter(|(field, _)| is_key(field))
            .map(|(field, doc)| format!("({field:?}, {doc:?}), "))
            .collect();
        // Writing to a `String` cannot fail.
        let _ = writeln!(table, "Section {{ name: {section:?}, doc: {doc:?}, keys: &[{keys}] }},");
    }
    table.push(']');
    let folder = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&folder).join("keys.rs"), table)
}

/// The doc comments of a struct.
#[derive(Default)]
struct Documented {
    doc: String,
    /// Public fields, each with its doc comment.
    fields: Vec<(String, String)>,
}

/// Reads the struct `name`, as rustfmt writes it: one line for a field.
fn documented(source: &str, name: &str) -> Documented {
    let start = format!("pub struct {name} {{");
    let (mut found, mut lines, mut is_inside) = (Documented::default(), Vec::new(), false);
    for line in source.lines() {
        let text = line.trim();
        if let Some(doc) = text.strip_prefix("///") {
            lines.push(doc.trim());
        } else if line == start {
            found.doc = lines.join(" ");
            lines.clear();
            is_inside = true;
        } else if is_inside && line == "}" {
            break;
        } else if let (true, Some(field)) = (is_inside, text.strip_prefix("pub ")) {
            let field = field.split(':').next().unwrap_or_default();
            found.fields.push((field.to_owned(), lines.join(" ")));
            lines.clear();
        } else if !text.starts_with("#[") {
            lines.clear();
        }
    }
    found
}
