//! Runs the README's command lines as written, on a small folder of images.

#![cfg(unix)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixtures::{Ended, Tiny};
use image::RgbImage;

/// Lines that take minutes or build the program. `.ci/run` runs them instead.
const OF_CI: [&str; 2] = ["cargo run --release -- pretrain", "cargo test --release --workspace"];

/// All lines of the README's shell blocks, without comments.
fn command_lines() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let shell_blocks =
        readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = shell_blocks.flat_map(str::lines);
    let commands = lines.map(|line| line.split(" #").next().unwrap().trim().to_owned());
    commands.filter(|command| !command.is_empty()).collect()
}

/// Writes `photos/` with the parts and classes that the README names.
fn write_photos(home: &Path) {
    for (part, count) in [("train", 16_u32), ("test", 6)] {
        for (class, name) in ["cat", "dog"].into_iter().enumerate() {
            let folder = home.join("photos").join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            for number in 0..count {
                let image = RgbImage::from_fn(34 + number % 9, 30, |x, y| {
                    let stripe = ((x * (2 + number % 5) + 3 * y) % 120) as u8;
                    image::Rgb(if class == 0 { [200, stripe, 20] } else { [20, stripe, 200] })
                });
                image.save(folder.join(format!("{number:02}.jpg"))).unwrap();
            }
        }
    }
}

/// Runs a line in a shell whose PATH has the program.
fn shell(home: &Path, line: &str) -> Ended {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_dino-vmf"));
    let mut folders = vec![program.parent().unwrap().to_owned()];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(home).env("PATH", env::join_paths(folders).unwrap());
    shell.env("NO_COLOR", "1").output().unwrap().into()
}

#[test]
fn every_command_line_of_the_readme_works_on_a_small_folder() {
    let home = Tiny::new();
    write_photos(home.folder.path());
    let mut ran = 0;
    for line in command_lines() {
        if OF_CI.contains(&line.as_str()) {
            continue;
        }
        // Nothing but the program itself: other lines would need other software.
        assert!(line.starts_with("dino-vmf "), "who runs `{line}`?");
        println!("$ {line}");
        shell(home.folder.path(), &line).code(0);
        ran += 1;
    }
    assert!(ran >= 8, "only {ran} command lines were found in the README");
    for made in ["crops.png", "runs/photos/config.toml", "mixture.html"] {
        assert!(home.path(made).is_file(), "{made}");
    }
}

#[test]
fn ci_runs_the_lines_that_this_test_leaves_out() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/run");
    let script = fs::read_to_string(script).unwrap();
    let lines = command_lines();
    for line in OF_CI {
        assert!(lines.iter().any(|found| found == line), "`{line}` is not in the README");
        assert!(
            script.lines().any(|found| found.trim_start().starts_with(line)),
            "`{line}` is not in .ci/run"
        );
    }
}
