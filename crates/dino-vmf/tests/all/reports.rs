//! `report` and `watch`: runs as a table, as records and as a page, and the page while a run goes on.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixtures::Tiny;

const EVALUATED: [&str; 8] = [
    "--set",
    "eval.train=shapes:train",
    "--set",
    "eval.test=shapes:test",
    "--set",
    "eval.every_epochs=1",
    "--set",
    "run.diagnose_every_steps=2",
];

/// Trains `steps` steps into the folder `out`.
fn train(tiny: &Tiny, out: &str, steps: &str, more: &[&str]) {
    let arguments = [&["--data", "shapes:test", "--steps", steps, "--out", out][..], more].concat();
    tiny.pretrain(&arguments).code(0);
}

/// Appends to the metrics of a run.
fn append(tiny: &Tiny, run: &str, text: &str) {
    let file = OpenOptions::new().append(true).open(tiny.path(&format!("{run}/metrics.jsonl")));
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn page(tiny: &Tiny, arguments: &[&str]) -> String {
    tiny.run(&[&["report"], arguments, &["--html", "page.html"]].concat()).code(0);
    let page = fs::read_to_string(tiny.path("page.html")).unwrap();
    for outside in
        ["http://", "https://", "src='/", "src=\"", "<link rel='style", "@import", "url(h"]
    {
        assert!(!page.contains(outside), "the page needs nothing else, but has {outside}");
    }
    page
}

#[test]
fn one_page_shows_runs_of_different_lengths_side_by_side() {
    let tiny = Tiny::new();
    train(&tiny, "runs/long", "12", &EVALUATED);
    train(&tiny, "runs/short", "5", &["--method", "dino", "--lr", "0.001"]);
    let page = page(&tiny, &["runs/long", "runs/short"]);
    for part in [
        "<title>2 runs</title>",
        ">Loss<",
        "chance 3.466",
        "ln K 3.466",
        "KL divergence",
        "Learning rate",
        "Movement of the center",
        "Concentration κ",
        "Unique prototypes",
        "k-NN top1, k = 20",
        "raw pixels ",
        "untrained ",
        "<polyline class='s0' data-name='long'",
        "<polyline class='s1' data-name='short'",
        "aria-label='Loss over steps. long: last ",
        "<th scope='row'>optim.lr</th>",
        "\"dino-vmf\"</td><td>&#34;dino&#34;",
        "Pictures of long",
        "global crop of ",
        "near prototype ",
        "attention on ",
    ] {
        let part = part.replace('"', "&#34;");
        assert!(page.contains(&part), "no `{part}`");
    }
    assert!(!page.contains("Missing:") && !page.contains("There are no pictures"));
    assert!(page.contains("<img class='coarse' src='data:image/jpeg;base64,"));
    let table = tiny.run(&["report", "runs/long", "runs/short"]).code(0).stdout;
    let row = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("step")[1..], ["12", "5"]);
    assert_eq!(row("alarms")[1..], ["none", "none"]);
    assert!(row("k-NN")[7].parse::<f64>().unwrap() > 0.0, "{table}");
}

#[test]
fn records_have_the_numbers_of_the_run() {
    let tiny = Tiny::new();
    train(&tiny, "a", "6", &EVALUATED);
    let ended = tiny.run(&["report", "a", "a", "--json"]).code(0);
    assert_eq!(ended.stdout.lines().count(), 1, "a run that is named twice is one run");
    let record = ended.last_event();
    let lines = crate::fixtures::metrics(&tiny.path("a"));
    let last = lines.iter().rfind(|line| line["loss"].is_f64()).unwrap();
    assert_eq!((&record["event"], &record["step"]), (&"run".into(), &6.into()));
    for key in ["loss", "kl", "lr", "teacher_entropy"] {
        assert_eq!(record["metrics"][key], last[key], "{key}");
    }
    let raw = lines.iter().find(|line| line["knn"]["features"] == "raw").unwrap();
    let found = record["evaluations"].as_array().unwrap().iter();
    let found = found.filter(|of| of["score"] == "top1" && of["setting"] == "k = 20");
    let found: Vec<&Value> = found.collect();
    assert_eq!(found[0]["raw"], raw["knn"]["scores"][1]["top1"]);
    assert_eq!((found.len(), &found[0]["step"]), (1, &6.into()));
    assert!(record["diagnostics"]["kappa.median"].as_f64().unwrap() > 0.0);
    assert_eq!((&record["goes_on"], &record["damaged_lines"]), (&false.into(), &0.into()));
}

#[test]
fn what_a_run_has_not_reported_is_said_and_not_needed() {
    let tiny = Tiny::new();
    train(&tiny, "a", "4", &[]);
    let plain = page(&tiny, &["a", "--no-images"]);
    for part in ["<title>a</title>", "No trained network has been evaluated yet", "There were none"]
    {
        assert!(plain.contains(part), "no `{part}`");
    }
    assert!(!plain.contains("<img") && !plain.contains("fetch("));
    append(&tiny, "a", "{\"step\":5,\"loss\":1.5}\n{\"step\":6,\"lo");
    let record = tiny.run(&["report", "a", "--json"]).code(0).last_event();
    assert_eq!((&record["step"], &record["metrics"]["loss"]), (&5.into(), &1.5.into()));
    append(&tiny, "a", "\n");
    let ended = tiny.run(&["report", "a"]).code(0);
    ended.says("warning: 1 line of `a/metrics.jsonl` cannot be read and are left out");
    for name in ["metrics.jsonl", "checkpoints"] {
        let path = tiny.path(&format!("a/{name}"));
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    let empty = page(&tiny, &["a"]);
    assert!(empty.contains("No step has been reported yet"));
    assert!(empty.contains("There are no pictures: the run has no checkpoint yet."), "{empty}");
}

#[test]
fn a_run_that_was_made_longer_is_one_line_with_an_event() {
    let tiny = Tiny::new();
    let epochs = |count: &'static str| ["--data", "photos:train", "--epochs", count, "--out", "a"];
    crate::fixtures::photos(&tiny.path("photos"), 20);
    tiny.pretrain(&epochs("1")).code(0);
    tiny.pretrain(&["--resume", "--out", "a", "--epochs", "3"]).code(0);
    let page = page(&tiny, &["a", "--no-images"]);
    for part in ["<b>15</b><small>epoch 3 of 3", "from 5 to 15 steps; schedules join over "] {
        assert!(page.contains(part), "no `{part}`");
    }
    assert_eq!(
        page.matches("<polyline class='s0' data-name='a' points='").count(),
        page.matches("<figure>").count()
    );
}

#[test]
fn images_that_are_gone_are_a_sentence_on_the_page() {
    let tiny = Tiny::new();
    crate::fixtures::photos(&tiny.path("photos"), 8);
    tiny.pretrain(&["--data", "photos:train", "--steps", "2", "--out", "a"]).code(0);
    assert!(page(&tiny, &["a"]).contains("global crop of "));
    fs::rename(tiny.path("photos"), tiny.path("moved")).unwrap();
    let page_without = page(&tiny, &["a"]);
    assert!(
        page_without.contains("There are no pictures: the images <code>")
            && !page_without.contains("<img")
    );
    assert!(page(&tiny, &["a", "--data", "moved:val"]).contains("attention on "));
}

#[test]
fn alarms_are_marked_and_long_runs_thinned() {
    let tiny = Tiny::new();
    train(&tiny, "a", "2", &[]);
    let mut lines = String::new();
    for step in 3..=30_000 {
        let loss = if step == 20_000 { 55.5 } else { 4.0 };
        lines +=
            &format!("{}\n", json!({ "step": step, "loss": loss, "epoch": 1, "new_key": 0.5 }));
    }
    let alarm = json!({ "step": 9000, "name": "one-hot-collapse", "raised": true,
        "found": "entropy <0>", "cause": "why", "remedy": "what to try" });
    lines += &format!("{}\n", json!({ "step": 30_000, "alarm": alarm }));
    append(&tiny, "a", &lines);
    let page = page(&tiny, &["a", "--no-images"]);
    assert!(page.len() < 300_000, "{} bytes", page.len());
    for part in [
        "<g class='alarm'><title>a, step 30000: entropy &#60;0&#62;; why; what to try",
        "New key",
        "band s0",
    ] {
        assert!(page.contains(part), "no `{part}`");
    }
    let table = tiny.run(&["report", "a"]).code(0).stdout;
    assert!(table.contains("one-hot-collapse"), "{table}");
}

#[test]
fn many_runs_have_styles_of_their_own() {
    let tiny = Tiny::new();
    train(&tiny, "r00", "2", &[]);
    let copies: Vec<String> = (0..17).map(|number| format!("r{number:02}")).collect();
    for copy in &copies[1..] {
        fs::create_dir(tiny.path(copy)).unwrap();
        for file in ["config.toml", "metrics.jsonl"] {
            fs::copy(tiny.path("r00").join(file), tiny.path(copy).join(file)).unwrap();
        }
    }
    let names: Vec<&str> = copies.iter().map(String::as_str).collect();
    let page = page(&tiny, &[&names[..16], &["--no-images"]].concat());
    for part in ["<polyline class='s7'", "<polyline class='s7 dotted'", "All settings are the same"]
    {
        assert!(page.contains(part), "no `{part}`");
    }
    let refused = tiny.run(&[&["report"], &names[..], &["--html", "page.html"]].concat()).code(2);
    refused.says("error: a page shows at most 16 runs, and 17 runs were given");
    tiny.run(&[&["report"], &names[..]].concat()).code(0);
}

#[test]
fn a_folder_without_a_run_is_refused_before_anything_is_written() {
    let tiny = Tiny::new();
    fs::create_dir(tiny.path("photos")).unwrap();
    for command in ["report", "watch"] {
        let ended = tiny.run(&[command, "photos"]).code(1);
        ended.says("error: `photos` is not a run folder: it has no `config.toml`");
        tiny.run(&[command, "nowhere"]).code(1).says("error: `nowhere` does not exist");
    }
    tiny.run(&["report", "photos", "--html", "page.html"]).code(1);
    assert!(!tiny.path("page.html").exists());
    tiny.run(&["report"]).code(2).says("RUN");
}

#[test]
fn flags_for_pictures_need_a_page_and_images() {
    let tiny = Tiny::new();
    train(&tiny, "a", "2", &[]);
    for flags in [&["--no-images"][..], &["--data", "shapes:test"]] {
        tiny.run(&[&["report", "a"], flags].concat()).code(2).says("give `--html FILE`");
    }
    let page = ["report", "a", "--html", "a.html"];
    tiny.run(&[&page[..], &["--data", "shapes:test", "--no-images"]].concat()).code(2);
    tiny.run(&[&page[..], &["--data", "nowhere"]].concat())
        .code(0)
        .says("run `a`: There are no pictures: the images `nowhere` cannot be opened");
    let ended = tiny.run(&page).code(0);
    assert!(!ended.stderr.contains("There are no pictures"), "{}", ended.stderr);
}

/// A server that ends with the test.
struct Watching {
    child: Child,
    address: String,
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Watching {
    fn start(tiny: &Tiny, more: &[&str]) -> Self {
        Self::start_with(Command::new(env!("CARGO_BIN_EXE_dino-vmf")), tiny, more)
    }

    fn start_with(mut command: Command, tiny: &Tiny, more: &[&str]) -> Self {
        command.args(["watch", "a"]).args(more).current_dir(tiny.folder.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        Self { child, address }
    }

    /// The status and the body of the answer.
    fn get(&self, path: &str, host: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The page, once it holds `text`.
    fn page_with(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let (status, body) = self.get("/", "localhost");
            if status == 200 && body.contains(text) {
                return body;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no `{text}` in {body}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn version(&self) -> u64 {
        let (_, body) = self.get("/version", "127.0.0.1:80");
        serde_json::from_str::<Value>(&body).unwrap()["version"].as_u64().unwrap()
    }
}

#[test]
fn a_watched_page_follows_its_run() {
    let tiny = Tiny::new();
    train(&tiny, "a", "3", &[]);
    let watching = Watching::start(&tiny, &[]);
    assert!(watching.address.starts_with("127.0.0.1:"), "{}", watching.address);
    let page = watching.page_with("attention on ");
    assert!(page.contains("fetch(\"/version\")") && page.contains("<b>3</b>"));
    let version = watching.version();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(watching.version(), version, "nothing has changed");
    train(&tiny, "a", "5", &["--resume"]);
    let page = watching.page_with("<b>5</b>");
    assert!(watching.version() > version && page.contains("attention on "));
    fs::rename(tiny.path("a"), tiny.path("moved")).unwrap();
    let begun = Instant::now();
    while !watching.get("/version", "localhost").1.contains("does not exist") {
        assert!(begun.elapsed() < Duration::from_secs(60), "the page says that the run is gone");
        thread::sleep(Duration::from_millis(100));
    }
    assert!(watching.get("/", "localhost").1.contains("<b>5</b>"), "the last page stays");
}

#[test]
fn only_browsers_on_this_machine_are_answered() {
    let tiny = Tiny::new();
    train(&tiny, "a", "2", &[]);
    let watching = Watching::start(&tiny, &["--no-images"]);
    watching.page_with("<title>a</title>");
    assert_eq!(watching.get("/", "attacker.example").0, 403);
    assert_eq!(watching.get("/../a/config.toml", "localhost").0, 404);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_watch_at_once() {
    let tiny = Tiny::new();
    train(&tiny, "a", "2", &[]);
    let program = env!("CARGO_BIN_EXE_dino-vmf");
    // Shells start background jobs of scripts with SIGINT ignored.
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", "trap '' INT; exec \"$0\" \"$@\"", program]);
    for command in [Command::new(program), ignoring] {
        let mut watching = Watching::start_with(command, &tiny, &["--no-images"]);
        let process = watching.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
        let begun = Instant::now();
        while watching.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(2), "it goes on");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_port_in_use_is_named() {
    let tiny = Tiny::new();
    train(&tiny, "a", "2", &[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = tiny.run(&["watch", "a", "--port", &port]).code(1);
    ended
        .says(&format!("error: cannot serve on port {port}; choose another `--port`"))
        .says("in use");
}
