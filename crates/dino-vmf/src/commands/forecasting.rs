//! A forecast in words: the table of `plan`, and the lines that `pretrain` starts with.

use dino::forecast::{Forecast, Limit, Memory, RunTime};
use dino::memory::Bytes;

/// One line for each question, with its name in front.
pub(crate) fn table(forecast: &Forecast) -> Vec<String> {
    let rows = [
        ("network", network(forecast)),
        ("steps", steps(forecast)),
        ("time", step(forecast)),
        ("", run(forecast)),
        ("memory", memory(&forecast.memory)),
        ("batch", batch(forecast)),
        ("disk", disk(forecast)),
    ];
    rows.into_iter().map(|(name, text)| format!("{name:<11}{text}")).collect()
}

/// The same in two lines.
pub(crate) fn short(forecast: &Forecast) -> Vec<String> {
    let Forecast { memory, disk, .. } = forecast;
    let space = format!(
        "needs {} of memory{} and {} of disk{}",
        Bytes(memory.total),
        free(memory.free),
        Bytes(disk.needed),
        free(disk.free)
    );
    vec![format!("{}; {}", step(forecast), run(forecast)), space]
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
    format!("{total_steps} steps of {batch_size} images{parts}{done}, from {images} images")
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
        plural(*threads, "thread"),
        seconds(*load),
        plural(loader.workers, "worker"),
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
            plural(count as usize, "evaluation")
        ),
    }
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
        plural(disk.checkpoints as usize, "checkpoint"),
        Bytes(disk.checkpoint),
        free(disk.free)
    )
}

fn free(bytes: Option<f64>) -> String {
    bytes.map(|bytes| format!(" ({} free)", Bytes(bytes))).unwrap_or_default()
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A short time: `12 ms`, `0.84 s`, `4m 10s`.
fn seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 0.0995 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds < 9.95 => format!("{seconds:.2} s"),
        seconds => duration(seconds),
    }
}

/// A duration as `12 days`, `3h 05m`, `4m 10s` or `9s`.
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0..72, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, seconds};

    #[test]
    fn durations_have_two_units() {
        let times = [0.4, 59.0, 61.0, 3600.0 * 26.0 + 61.0, 86_400.0 * 12.4];
        assert_eq!(times.map(duration), ["0s", "59s", "1m 01s", "26h 01m", "12 days"]);
        assert_eq!(
            [0.0123, 0.84, 8.0, 250.0].map(seconds),
            ["12 ms", "0.84 s", "8.00 s", "4m 10s"]
        );
    }
}
