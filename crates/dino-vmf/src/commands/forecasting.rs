//! A forecast in words: the table of `plan`, and the lines that `pretrain` starts with.

use dino::forecast::{Forecast, Limit, Memory, RunTime};
use dino::memory::Bytes;
use report::number::{counted, duration};

/// One line for each question, with its name in front.
pub(crate) fn table(forecast: &Forecast) -> Vec<String> {
    let rows = [
        Some(("network", network(forecast))),
        Some(("steps", steps(forecast))),
        Some(("time", step(forecast))),
        Some(("", run(forecast))),
        busy(forecast).map(|text| ("", text)),
        Some(("memory", memory(&forecast.memory))),
        Some(("batch", batch(forecast))),
        Some(("disk", disk(forecast))),
    ];
    rows.into_iter().flatten().map(|(name, text)| format!("{name:<11}{text}")).collect()
}

/// The same in two or three lines.
pub(crate) fn short(forecast: &Forecast) -> Vec<String> {
    let Forecast { memory, disk, .. } = forecast;
    let space = format!(
        "needs {} of memory{} and {} of disk{}",
        Bytes(memory.total),
        free(memory.free),
        Bytes(disk.needed),
        free(disk.free)
    );
    let time = format!("{}; {}", step(forecast), run(forecast));
    [Some(time), busy(forecast), Some(space)].into_iter().flatten().collect()
}

fn network(forecast: &Forecast) -> String {
    format!("{:.2} M parameters", forecast.parameters as f64 / 1e6)
}

fn steps(forecast: &Forecast) -> String {
    let Forecast { images, batch_size, accumulate, first_step, total_steps, .. } = forecast;
    let parts = match accumulate {
        1 => String::new(),
        parts => format!(" in {parts} micro-batches"),
    };
    let done = match first_step {
        0 => String::new(),
        step => format!(", {step} of them done"),
    };
    let steps = counted(*total_steps as usize, "step");
    let [batch, images] = [batch_size, images].map(|count| counted(*count, "image"));
    format!("{steps} of {batch}{parts}{done}, from {images}")
}

fn step(forecast: &Forecast) -> String {
    let Forecast { threads, loader, time, .. } = forecast;
    let Some(RunTime { step, compute, load, limit, .. }) = time else {
        return "no step could be measured: not even one image fits into memory".to_owned();
    };
    let limit = match limit {
        Limit::Compute => "computing is the limit",
        Limit::Loader => "loading is the limit, try more `--workers`",
    };
    format!(
        "about {} a step: {} to compute on {}, {} to load with {} ({:.0} images/s); {limit}",
        seconds(*step),
        seconds(*compute),
        counted(*threads, "thread"),
        seconds(*load),
        counted(loader.workers, "worker"),
        loader.images_per_second,
    )
}

fn run(forecast: &Forecast) -> String {
    let Some(RunTime { training, evaluations, evaluating, total, .. }) = forecast.time else {
        return "its time is not known".to_owned();
    };
    match evaluations {
        0 => format!("about {} in all", duration(total)),
        count => format!(
            "about {} in all: {} of training, {} for {}",
            duration(total),
            duration(training),
            duration(evaluating),
            counted(count as usize, "evaluation")
        ),
    }
}

/// That other programs will make the run longer, if they go on. The fastest of several runs was taken.
fn busy(Forecast { load, threads, .. }: &Forecast) -> Option<String> {
    let wanted = load.wanted.filter(|_| load.is_busy(*threads))?;
    let cores = counted(load.cores, "core");
    Some(format!(
        "other programs use the cores now (load {wanted:.1} on {cores}): beside them it takes longer"
    ))
}

fn memory(memory: &Memory) -> String {
    let parts = [
        ("weights", memory.weights),
        ("gradients", memory.gradients),
        ("optimizer", memory.optimizer),
        ("activations", memory.activations),
        ("loader", memory.loader),
        ("evaluation", memory.evaluation),
    ];
    let parts = parts.iter().filter(|(_, bytes)| *bytes > 0.0);
    let parts: Vec<_> = parts.map(|(name, bytes)| format!("{name} {}", Bytes(*bytes))).collect();
    format!("{} at the peak{}: {}", Bytes(memory.total), free(memory.free), parts.join(", "))
}

fn batch(forecast: &Forecast) -> String {
    let Forecast { batch_size, largest_batch, accumulate_that_fits, .. } = forecast;
    let largest = match largest_batch {
        Some(largest) => format!("up to {largest} images fit into memory at once"),
        None => "the free memory is not known, or no batch fits".to_owned(),
    };
    match accumulate_that_fits {
        Some(1) | None => largest,
        Some(parts) => {
            format!("{largest}; `--set optim.accumulate={parts}` makes a batch of {batch_size} fit")
        }
    }
}

fn disk(forecast: &Forecast) -> String {
    let disk = &forecast.disk;
    format!(
        "{} for {} of {}, and metrics{}",
        Bytes(disk.needed),
        counted(disk.checkpoints as usize, "checkpoint"),
        Bytes(disk.checkpoint),
        free(disk.free)
    )
}

fn free(bytes: Option<f64>) -> String {
    bytes.map(|bytes| format!(" ({} free)", Bytes(bytes))).unwrap_or_default()
}

/// A short time: `12 ms`, `0.84 s`, `4m 10s`.
fn seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 0.0995 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds < 9.95 => format!("{seconds:.2} s"),
        seconds => duration(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn short_times_have_three_digits() {
        assert_eq!(
            [0.0123, 0.84, 8.0, 250.0].map(seconds),
            ["12 ms", "0.84 s", "8.00 s", "4m 10s"]
        );
    }
}
