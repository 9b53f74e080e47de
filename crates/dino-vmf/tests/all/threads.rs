//! The same seed gives the same bits for any number of threads.

use crate::fixtures::{Tiny, weights};

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (method, precision) in [("dino", "f32"), ("dino-vmf", "f32"), ("dino-vmf", "bf16")] {
        let tiny = Tiny::new();
        let train = |threads: &str, workers: &str| {
            let out = format!("{threads}-{workers}");
            let threads = ["--threads", threads, "--workers", workers, "--out", &out];
            let more = [
                "--steps",
                "12",
                "--method",
                method,
                "--precision",
                precision,
                "--set",
                "optim.batch_size=32",
            ];
            tiny.pretrain(&[&more[..], &threads].concat()).code(0);
            weights(&tiny.path(&out), 12)
        };
        let one = train("1", "1");
        for (threads, workers) in [("2", "2"), ("3", "1"), ("1", "3"), ("3", "4")] {
            assert!(
                one == train(threads, workers),
                "{method}, {precision}: {threads} threads, {workers} workers"
            );
        }
        let other = tiny.pretrain(&["--steps", "12", "--seed", "1", "--out", "other"]);
        assert!(one != weights(&tiny.path("other"), 12), "{}", other.stderr);
    }
}
