//! `dino-vmf bench objective`: the objective alone, on random unit vectors.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use dino::config::{self, Config, Flag, Origin};
use dino::objective::{Compared, Networks, Objective as Compare, Pairs, Sums};
use engine::matmul::Precision;
use engine::{ParamTable, Params, Tensor, pool};
use multicrop::recipe::GLOBAL_CROPS;
use rand_distr::{Distribution, StandardNormal};
use report::number::counted;
use serde::Serialize;
use streams::{Key, Purpose};
use vit::{Head, HeadShape};

use super::conditions::{Conditions, start_threads};
use super::record::{median, name_of, rounded};
use crate::commands::candidates::names;
use crate::console::Console;

/// Time the objective alone: from unit vectors to loss, gradients and center
///
/// Computes the logits of teacher and student, the targets, the loss, and the gradients of the student's
/// vectors and of the prototypes. The memory is what the objective needs in addition to the vectors, the
/// prototypes and their gradient.
///
/// Example: dino-vmf bench objective --k 65536 --batch 8 --local 8
#[derive(Debug, Args)]
pub(crate) struct Objective {
    /// Training method: `dino` or `dino-vmf`
    ///
    /// `dino` keeps the prototypes' norms at 1 and centers logits. `dino-vmf` learns the norms and centers
    /// probabilities.
    #[arg(long, value_name = "METHOD", default_value = "dino", add = names(&METHODS))]
    method: String,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65_536), allow_negative_numbers = true)]
    batch: u32,
    /// Local crops per image, in addition to two global ones
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=1000), allow_negative_numbers = true)]
    local: u32,
    /// Number of prototypes
    #[arg(long, value_name = "N", default_value_t = 65536)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1 << 24), allow_negative_numbers = true)]
    k: u32,
    /// Width of the vectors, which is that of the head's bottleneck
    #[arg(long, value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=65_536), allow_negative_numbers = true)]
    bottleneck: u32,
    /// Timed steps
    ///
    /// Take more if the times differ by more than a few percent.
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    steps: u32,
    #[command(flatten)]
    conditions: Conditions,
}

/// Methods with different objectives of `[CLS]` tokens; those of iBOT have the same two.
const METHODS: [&str; 2] = ["dino", "dino-vmf"];

/// Setup and result. Fields have the names of those in the PyTorch script, where it has them.
#[derive(Debug, Serialize)]
struct Record {
    peer: &'static str,
    version: &'static str,
    threads: usize,
    method: String,
    teacher_rows: usize,
    student_rows: usize,
    k: u32,
    bottleneck: u32,
    ms_median: f64,
    ms: Vec<f64>,
    peak_mib: f64,
    loss: f64,
}

impl Objective {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let (name, key) = ("--method", "objective.method");
        let flags =
            [Flag { name, key, value: self.method.clone().into() }, self.conditions.threads_flag()];
        let config = Config::resolve(None, None, &[], &flags)?;
        if config.objective.method.masks() {
            return Err(config::Error::BadValue {
                key: key.to_owned(),
                origin: Origin::Flag(name.to_owned()),
                found: format!("{:?}", self.method),
                needed: "be `dino` or `dino-vmf`, which have the objectives of both".to_owned(),
            }
            .into());
        }
        let threads = start_threads(config.run.threads)?;
        self.require_memory()?;
        let record = self.measure(&config, threads);
        record.print(console);
        console.event("objective", &record);
        Ok(())
    }

    /// Checks that there is memory for the prototypes of both networks and their gradients, and for the
    /// vectors with 16 partial sums of their gradients.
    fn require_memory(&self) -> Result<(), dino::error::Error> {
        let rows = f64::from(self.batch) * (2 * GLOBAL_CROPS + self.local as usize) as f64;
        let values = (3.0 * f64::from(self.k) + 17.0 * rows) * f64::from(self.bottleneck);
        let what = format!("{} prototypes of width {}", self.k, self.bottleneck);
        let bytes = values * size_of::<f32>() as f64;
        dino::memory::require_bytes(what, bytes, "try a smaller `--k`, `--bottleneck` or `--batch`")
    }

    fn measure(&self, config: &Config, threads: usize) -> Record {
        let (head, student) = self.prototypes();
        let teacher = student.clone();
        let mut grads = Params::zeros(student.table().clone());
        let objective = Compare::new(&config.objective, self.bottleneck as usize);
        let mut center = objective.initial_center(0.9, self.k as usize);
        let student_crops = GLOBAL_CROPS + self.local as usize;
        let (student_y, teacher_y) =
            (self.vectors(student_crops, 0), self.vectors(GLOBAL_CROPS, 1));
        let pairs = Pairs::Views { teacher_crops: GLOBAL_CROPS, student_crops };
        let compared = Compared { student: &student_y, teacher: &teacher_y, pairs };
        let networks =
            Networks { prototypes: head.prototypes, student: &student, teacher: &teacher };
        let before = pool::usage().in_use;
        pool::reset_peak();
        let (mut ms, mut loss) = (Vec::new(), 0.0);
        for i in 0..self.conditions.warmup + self.steps {
            let start = Instant::now();
            let vectors = objective.step_vectors(&networks, &center, 0.04);
            let sums = Sums { grads: &mut grads, center: &mut center };
            loss = objective.forward_backward(&networks, &compared, &vectors, 1.0, sums).0.loss;
            center.update(0.04);
            if i >= self.conditions.warmup {
                ms.push(1e3 * start.elapsed().as_secs_f64());
            }
        }
        // Six vectors with one value per prototype are not allocated from the pool.
        let vectors = 6 * size_of::<f32>() * self.k as usize;
        let peak = (pool::usage().peak - before + vectors) as f64 / f64::from(1 << 20);
        Record {
            peer: "dino-vmf",
            version: env!("CARGO_PKG_VERSION"),
            threads,
            method: name_of("objective.method", config),
            teacher_rows: teacher_y.rows(),
            student_rows: student_y.rows(),
            k: self.k,
            bottleneck: self.bottleneck,
            ms_median: rounded(median(&ms), 2),
            ms: ms.iter().map(|ms| rounded(*ms, 2)).collect(),
            peak_mib: rounded(peak, 1),
            loss: rounded(loss, 5),
        }
    }

    /// Random prototypes of norm 1, in a head whose MLP is as small as possible.
    fn prototypes(&self) -> (Head, Params) {
        let mut table = ParamTable::default();
        let shape = HeadShape {
            embed_dim: 1,
            hidden_dim: 1,
            bottleneck_dim: self.bottleneck as usize,
            prototypes: self.k as usize,
            patch_prototypes: None,
            precision: Precision::F32,
        };
        let head = Head::new(&shape, "", &mut table);
        let mut params = Params::zeros(table.into());
        fill(params.view_mut(head.prototypes.v).host_mut(), 2);
        params.view_mut(head.prototypes.g).host_mut().fill(1.0);
        (head, params)
    }

    /// Random unit vectors of `crops` crops of each image.
    fn vectors(&self, crops: usize, index: u64) -> Tensor {
        let mut vectors = Tensor::zeros(&[crops * self.batch as usize, self.bottleneck as usize]);
        fill(vectors.host_mut(), index);
        engine::ops::l2_normalize::forward(vectors).0
    }
}

impl Record {
    fn print(&self, console: &mut Console) {
        let Self { ms_median, method, teacher_rows, student_rows, k, threads, peak_mib, .. } = self;
        console.text(format!(
            "{ms_median:.2} ms: {method}, {teacher_rows} rows of the teacher and {student_rows} of the \
             student, K {k}, {}",
            counted(*threads, "thread")
        ));
        console
            .text(format!("{peak_mib:.1} MiB of memory at the peak, beside inputs and gradient"));
    }
}

/// Fills a slice with standard normal values.
fn fill(values: &mut [f32], index: u64) {
    let mut stream = Key::new(0, Purpose::Bench).index(index).open();
    values.iter_mut().for_each(|x| *x = StandardNormal.sample(&mut stream));
}
