//! Opens pages in headless Chromium: no script error, no request to anywhere else, nothing wider than the screen, and
//! pictures of the page in light and dark.
//!
//! Ignored where there is neither `$DINO_VMF_CHROMIUM` nor `chromium`. `$DINO_VMF_SCREENSHOTS` names a folder that
//! keeps the pictures.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod fixtures;

use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use fixtures::Tiny;
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

/// Widths of a phone and of a large screen, in pixels. Chromium has no windows below 500 pixels, so pages are shown
/// in a frame of this width.
const WIDTHS: [u32; 2] = [400, 1600];
/// Height of a screenshot.
const HEIGHT: u32 = 1400;
/// Nothing is looked up outside this machine, whatever a page asks for.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

type Test = fn(&Browser);

const TESTS: [(&str, Test); 5] = [
    ("errors_of_scripts_and_requests_are_noticed", mistakes_are_noticed),
    ("pages_of_runs_need_nothing_else_and_fit_phones_and_large_screens", pages_of_runs),
    ("pages_of_mixtures_need_nothing_else_and_fit_phones_and_large_screens", pages_of_mixtures),
    ("pages_of_suites_need_nothing_else_and_fit_phones_and_large_screens", pages_of_suites),
    ("an_open_page_follows_its_run", an_open_page_follows_its_run),
];

fn main() {
    let arguments = Arguments::from_args();
    let program = env::var_os("DINO_VMF_CHROMIUM").unwrap_or_else(|| OsString::from("chromium"));
    let found = Command::new(&program).arg("--version").output();
    let is_there = found.is_ok_and(|output| output.status.success());
    let trial = |(name, test): (&'static str, Test)| {
        let program = program.clone();
        let run = move || {
            test(&Browser { program, profile: tempfile::tempdir().unwrap() });
            Ok(())
        };
        match is_there {
            true => Trial::test(name, run),
            false => Trial::test(name, || Ok(()))
                .with_kind("needs chromium or $DINO_VMF_CHROMIUM")
                .with_ignored_flag(true),
        }
    };
    libtest_mimic::run(&arguments, TESTS.map(trial).into()).exit();
}

struct Browser {
    program: OsString,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Runs the browser, and checks that pages reported no error and asked nobody but `allowed`.
    #[track_caller]
    fn run(&self, arguments: &[String], allowed: &str) -> Output {
        let (output, errors, asked) = self.observe(arguments);
        assert!(errors.is_empty(), "the page has errors: {errors:#?}");
        let others: Vec<&String> = asked.iter().filter(|url| !url.starts_with(allowed)).collect();
        assert!(others.is_empty(), "the page asks for {others:#?}");
        output
    }

    /// Runs the browser. Returns what it printed, errors of scripts and addresses that pages asked for.
    fn observe(&self, arguments: &[String]) -> (Output, Vec<String>, Vec<String>) {
        let log = self.profile.path().join("net.json");
        let output = Command::new(&self.program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", self.profile.path().join("profile").display()))
            .arg(format!("--log-net-log={}", log.display()))
            .args(arguments)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let errors = stderr.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned);
        let (errors, asked) = (errors.collect(), requests(&log));
        (output, errors, asked)
    }

    /// The document after its scripts have run.
    fn document(&self, path: &Path) -> String {
        let arguments = ["--dump-dom".to_owned(), format!("file://{}", path.display())];
        String::from_utf8(self.run(&arguments, "file:").stdout).unwrap()
    }

    /// Shows a page in a frame of each width, in light and dark. It must not be wider than the frame.
    fn look(&self, page: &Path) {
        let name = page.file_stem().unwrap().to_string_lossy().into_owned();
        let html = fs::read_to_string(page).unwrap();
        let quoted = html.replace('&', "&amp;").replace('"', "&quot;");
        let mut pictures = Vec::new();
        for width in WIDTHS {
            let framed = page.with_file_name(format!("{name}-{width}.html"));
            let measure = "document.title = frames[0].document.documentElement.scrollWidth";
            let frame = format!(
                "<!DOCTYPE html><title>not measured</title><body style='margin:0'><iframe onload='{measure}' \
                 style='border:0;width:{width}px;height:{HEIGHT}px' srcdoc=\"{quoted}\"></iframe>"
            );
            fs::write(&framed, frame).unwrap();
            let document = self.document(&framed);
            let title = document.split("<title>").nth(1).unwrap().split('<').next().unwrap();
            assert_eq!(title, width.to_string(), "{name}: the width of the page");
            for (scheme, value) in [("light", 1), ("dark", 0)] {
                let picture = folder(page).join(format!("{name}-{width}-{scheme}.png"));
                let arguments = [
                    format!("--blink-settings=preferredColorScheme={value}"),
                    format!("--window-size={},{HEIGHT}", width.max(500)),
                    format!("--screenshot={}", picture.display()),
                    format!("file://{}", framed.display()),
                ];
                self.run(&arguments, "file:");
                pictures.push((scheme, width, image::open(&picture).unwrap().into_rgb8()));
            }
        }
        for (scheme, width, picture) in pictures {
            let [r, g, b] = picture.get_pixel(3, 3).0.map(u32::from);
            assert_eq!(r + g + b > 384, scheme == "light", "{name} at {width} pixels, {scheme}");
            let colors: std::collections::HashSet<_> = picture.pixels().collect();
            assert!(colors.len() > 100, "{name} at {width} pixels, {scheme}: {}", colors.len());
        }
    }
}

/// The folder that keeps pictures: that of `$DINO_VMF_SCREENSHOTS`, or that of the page.
fn folder(page: &Path) -> PathBuf {
    let kept = env::var_os("DINO_VMF_SCREENSHOTS").map(PathBuf::from);
    if let Some(folder) = &kept {
        fs::create_dir_all(folder).unwrap();
    }
    kept.unwrap_or_else(|| page.parent().unwrap().to_owned())
}

/// Addresses that pages asked for, from the browser's log. What the browser wants for itself has no origin; it gets
/// no answer, because no name is looked up.
fn requests(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap();
    let log: Value = serde_json::from_str(&text).unwrap();
    let events = log["events"].as_array().unwrap().iter().map(|event| &event["params"]);
    let of_pages = events.filter(|event| {
        event["initiator"].as_str().is_some_and(|initiator| initiator != "not an origin")
    });
    of_pages.filter_map(|event| event["url"].as_str().map(str::to_owned)).collect()
}

/// A run of the small network, evaluated, with pictures.
fn train(tiny: &Tiny, out: &str, steps: &str, more: &[&str]) {
    let data = ["--data", "shapes:test", "--steps", steps, "--out", out];
    let evaluated = [
        "--set",
        "eval.train=shapes:train",
        "--set",
        "eval.test=shapes:test",
        "--set",
        "run.diagnose_every_steps=2",
    ];
    tiny.pretrain(&[&data[..], &evaluated, more].concat()).code(0);
}

/// Without this, the other tests could pass because nothing is observed.
fn mistakes_are_noticed(browser: &Browser) {
    let tiny = Tiny::new();
    let page = tiny.path("page.html");
    let html = "<img src='http://example.invalid/a.png'><script>missing.method()</script>";
    fs::write(&page, html).unwrap();
    let arguments = ["--dump-dom".to_owned(), format!("file://{}", page.display())];
    let (_, errors, asked) = browser.observe(&arguments);
    assert!(errors.iter().any(|text| text.contains("missing is not defined")), "{errors:?}");
    assert!(asked.iter().any(|url| url == "http://example.invalid/a.png"), "{asked:?}");
}

fn pages_of_runs(browser: &Browser) {
    let tiny = Tiny::new();
    train(&tiny, "a-run-with-a-long-name", "40", &[]);
    train(&tiny, "other", "25", &["--method", "dino"]);
    let runs = ["a-run-with-a-long-name", "other"];
    for (page, runs) in [("one.html", &runs[..1]), ("two.html", &runs[..])] {
        tiny.run(&[&["report"], runs, &["--html", page]].concat()).code(0);
        let document = browser.document(&tiny.path(page));
        assert!(document.contains("attention on ") && document.contains("</html>"));
        browser.look(&tiny.path(page));
    }
    // At the right end of the first plot, the pointer is at the last steps of both runs.
    let point =
        "<script>{ const svg = document.querySelector('svg'), box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: box.right - 12,
        clientY: box.top + 50 })); }</script>";
    let page = fs::read_to_string(tiny.path("two.html")).unwrap() + point;
    fs::write(tiny.path("pointed.html"), page).unwrap();
    let document = browser.document(&tiny.path("pointed.html"));
    let readout = document.split("<div id=\"readout\"").nth(1).unwrap();
    for text in ["a-run-with-a-long-name: ", " at step 40", "other: ", " at step 25"] {
        assert!(readout.contains(text), "no `{text}` in {readout}");
    }
}

fn pages_of_suites(browser: &Browser) {
    let tiny = Tiny::new();
    for (out, steps) in [("a", "1"), ("a-run-with-a-long-name", "4")] {
        train(&tiny, out, steps, &[]);
    }
    let data = |name: &str, tasks| {
        format!(
            "[[data]]\nname = '{name}'\ntrain = 'shapes:train'\ntest = 'shapes:test'\nmax_train = 200\n\
             max_test = 100\ntasks = {tasks}\n"
        )
    };
    let all =
        data("shapes", "['knn', 'linear', 'logistic', 'fewshot']") + &data("again", "['knn']");
    fs::write(tiny.path("suite.toml"), all).unwrap();
    let eval = ["eval", "all", "--suite", "suite.toml", "--checkpoint", "a"];
    tiny.run(&[&eval[..], &["--checkpoint", "a-run-with-a-long-name"]].concat()).code(0);
    let document = browser.document(&tiny.path("suite/suite.html"));
    assert!(document.contains("paired bootstrap"), "{document}");
    browser.look(&tiny.path("suite/suite.html"));
}

fn pages_of_mixtures(browser: &Browser) {
    let tiny = Tiny::new();
    train(&tiny, "a", "10", &[]);
    let analyze = ["analyze", "mixture", "a", "--data", "shapes:test", "--max-images", "200"];
    tiny.run(&[&analyze[..], &["--html", "mixture.html"]].concat()).code(0);
    let document = browser.document(&tiny.path("mixture.html"));
    assert!(document.contains("id=\"selected\""), "the script has run");
    browser.look(&tiny.path("mixture.html"));
}

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn an_open_page_follows_its_run(browser: &Browser) {
    let tiny = Tiny::new();
    train(&tiny, "a", "4", &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_dino-vmf"));
    command.args(["watch", "a", "--no-images"]).current_dir(tiny.folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let (server, address) = (Server(child), address.trim().to_owned());
    let path = tiny.path("a/metrics.jsonl");
    let (ended, is_open) = mpsc::channel::<()>();
    // The run goes on as long as the page is open: a slow browser loads it after any number of steps.
    let writer = thread::spawn(move || {
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        let mut step = 98_700;
        while is_open.recv_timeout(Duration::from_millis(1500)) == Err(RecvTimeoutError::Timeout) {
            step += 1;
            let line = format!("{{\"step\":{step},\"loss\":1.25,\"epoch\":7}}\n");
            file.write_all(line.as_bytes()).unwrap();
        }
    });
    // Timers pass at once in virtual time, and answers take their time: some ten seconds.
    let time = "--virtual-time-budget=8000000".to_owned();
    let (output, errors, asked) =
        browser.observe(&[time, "--dump-dom".to_owned(), address.clone()]);
    drop(ended);
    writer.join().unwrap();
    drop(server);
    let document = String::from_utf8(output.stdout).unwrap();
    assert!(errors.is_empty() && asked.iter().all(|url| url.starts_with(&address)), "{errors:?}");
    assert!(asked.contains(&address), "the open page has asked for the new one");
    assert!(document.contains("<b>987"), "the page has a new step: {document}");
}
