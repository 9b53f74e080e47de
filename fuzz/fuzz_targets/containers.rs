//! Opens bytes as a data set, and reads its samples.

use std::fs;
use std::path::Path;
use std::process;

use multicrop::dataset::Sample;

/// Limit on the samples of an input that are read.
const READ: usize = 100;

/// Writes the bytes to a file next to an image `a.jpg`, opens it as a source, and reads samples,
/// names and labels.
pub fn open(bytes: &[u8]) {
    // in memory if possible, because a disk would be the slowest part
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = base.join(format!("dino-vmf-fuzz-{}", process::id()));
    let file = folder.join("source");
    if !folder.is_dir() {
        fs::create_dir(&folder).expect("a folder for the inputs");
        fs::write(folder.join("a.jpg"), b"image").expect("an image for the lists");
    }
    fs::write(&file, bytes).expect("a file with the input");
    let Ok(data) = multicrop::open(file.to_str().expect("a name in ASCII")) else { return };
    let classes = data.classes().len();
    for index in (0..data.len()).take(READ).chain([data.len() - 1]) {
        if let Ok(Sample::Pixels(image)) = data.read(index) {
            assert!(!image.pixels().is_empty());
        }
        assert!(data.label(index).is_none_or(|label| (label as usize) < classes));
        assert!(data.name(index).contains("a.jpg") || !data.name(index).is_empty());
    }
}
