//! Compares JPEG files of all kinds with Pillow. `tests/pillow/jpeg.py` writes and reads them when
//! the test runs: every pixel is equal, or both refuse the file.
//!
//! Needs Python with Pillow 12 or later (`DINO_VMF_PYTHON`, else `python3`), and the part `cjpeg`
//! also needs libjpeg-turbo's `cjpeg`. Tests count as ignored if these are missing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::print_stdout, reason = "the log of a test run has the counts")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use multicrop::decode::{Options, decode};
use tempfile::TempDir;

/// The parts of the script, and whether we may accept files that Pillow refuses. Pillow's own
/// header parser fails on segments that no decoder needs, such as a JFIF segment without a version.
const PARTS: [(&str, bool); 11] = [
    ("golden", false),
    ("sizes", false),
    ("modes", false),
    ("sampling", false),
    ("scans", false),
    ("markers", true),
    ("coarse", false),
    ("ends", false),
    ("damage", false),
    ("cjpeg", false),
    ("scaled", false),
];

/// A line of the index: name, scale, and the expectation.
type Line = (String, u32, Vec<String>);

fn main() {
    let arguments = Arguments::from_args();
    let python = std::env::var("DINO_VMF_PYTHON").unwrap_or_else(|_| "python3".into());
    let made = if arguments.list { Err("only listed".into()) } else { make(&python) };
    let made = made.map(Arc::new);
    if let Err(reason) = &made {
        println!("the tests beside Pillow are ignored: {reason}");
    }
    let trials = PARTS.iter().map(|&(part, reads_more)| {
        let made = made.clone().ok();
        let is_ignored = made.as_ref().is_none_or(|made| !made.index.contains_key(part));
        let run = move || made.map_or(Ok(()), |made| compare(&made, part, reads_more));
        Trial::test(format!("jpegs_are_read_as_by_pillow::{part}"), run)
            .with_ignored_flag(is_ignored)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// The files and their expectations, by part.
struct Made {
    folder: TempDir,
    index: BTreeMap<String, Vec<Line>>,
}

/// Runs the script; an error names what is missing.
fn make(python: &str) -> Result<Made, String> {
    let check = "import PIL, numpy, sys; sys.exit(int(PIL.__version__.split('.')[0]) < 12)";
    let found = Command::new(python).args(["-c", check]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        return Err(format!("`{python}` has no Pillow 12 with NumPy (set DINO_VMF_PYTHON)"));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow/jpeg.py");
    let made = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut index = BTreeMap::<String, Vec<Line>>::new();
    for line in fs::read_to_string(folder.path().join("index.tsv")).unwrap().lines() {
        let mut fields = line.split('\t').map(str::to_owned);
        let (part, name) = (fields.next().unwrap(), fields.next().unwrap());
        let scale = fields.next().unwrap().parse().unwrap();
        index.entry(part).or_default().push((name, scale, fields.collect()));
    }
    Ok(Made { folder, index })
}

fn compare(made: &Made, part: &str, reads_more: bool) -> Result<(), Failed> {
    let (mut equal, mut refused, mut more) = (0, 0, 0);
    let lines = made.index.get(part).map_or(&[][..], Vec::as_slice);
    for (name, scale, expected) in lines {
        let bytes = fs::read(made.folder.path().join(format!("{name}.jpg"))).unwrap();
        let result = read(&bytes, *scale, expected);
        match (expected[0].as_str(), result) {
            ("refused", Err(_)) => refused += 1,
            ("refused", Ok(_)) if reads_more => more += 1,
            ("refused", Ok(_)) => return Err(format!("{name} is read, Pillow refuses it").into()),
            (_, Err(error)) => return Err(format!("{name} at 1/{scale}: {error}").into()),
            (_, Ok(pixels)) => {
                let raw = made.folder.path().join(format!("{name}.{scale}.raw"));
                if pixels != fs::read(raw).unwrap() {
                    return Err(format!("{name} at 1/{scale} has other pixels").into());
                }
                equal += 1;
            }
        }
    }
    println!("{part}: {equal} equal, {refused} refused by both, {more} refused by Pillow alone");
    if equal == 0 { Err("nothing was compared".into()) } else { Ok(()) }
}

/// Our pixels, at Pillow's scale and with its channels.
fn read(bytes: &[u8], scale: u32, expected: &[String]) -> Result<Vec<u8>, String> {
    let number = |i: usize| expected.get(i).and_then(|field| field.parse::<u32>().ok());
    let shorter = number(0).min(number(1));
    let options = Options {
        channels: number(2).map_or(3, |channels| channels as usize),
        reduced_for: if scale > 1 { shorter } else { None },
        ..Options::default()
    };
    decode(bytes, &options).map(|image| image.into_pixels()).map_err(|error| error.to_string())
}
