//! The rules: from a source and a machine to keys of a configuration. Reasons: `docs/recipes.md`.

use std::collections::BTreeMap;

use toml::Value;

use super::look::Look;
use super::machine::Machine;
use super::networks::{NETWORKS, Network, operations};
use crate::config::{Config, Origin, Precision};
use crate::memory::Estimate;

/// How long a run may take on the machine, in seconds: a night.
const NIGHT: f64 = 8.0 * 3600.0;
/// Images that a network has to see, repetitions included, before it is worth looking at: 10,000 steps
/// of 64.
const ENOUGH: f64 = 640_000.0;
/// Fewest passes over the images.
const LEAST_EPOCHS: f64 = 10.0;
/// Most passes over the images.
const MOST_EPOCHS: f64 = 300.0;
/// Sides of global crops with the patch for each, the smallest first.
const CROPS: [(usize, usize); 10] = [
    (16, 4),
    (24, 4),
    (32, 4),
    (48, 8),
    (64, 8),
    (96, 16),
    (128, 16),
    (160, 16),
    (192, 16),
    (224, 16),
];
/// Largest crop of the smallest network, whose three blocks cannot make use of more.
const LARGEST_OF_SMALLEST: usize = 64;
/// Global crops from here on are those of DINO; smaller ones have no detail to blur.
const LARGE: usize = 96;
const LOCALS: usize = 4;
/// Presets whose hue changes as much as DINO's take colors for accidental.
const HUE_OF_PHOTOS: f64 = 0.1;
/// Most images of a batch, and fewest where there are enough images.
const BATCHES: [usize; 2] = [64, 256];
/// Fewest and most prototypes.
const PROTOTYPES: [usize; 2] = [256, 65_536];

/// Keys with their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Keys(BTreeMap<String, Value>);

impl Keys {
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// All keys and values.
    pub(super) fn to_pairs(&self) -> Vec<(String, Value)> {
        self.0.clone().into_iter().collect()
    }
}

/// The keys for these images on this machine. `base` is the preset with what a person wrote on top.
pub(super) fn keys(base: &Config, look: &Look, machine: &Machine) -> Keys {
    let mut keys = Keys::default();
    if let Some(channels) = look.channels_to_train() {
        keys.set("data.channels", channels as i64);
    }
    if machine.precision == Precision::Bf16 {
        keys.set("model.precision", "bf16");
    }
    let length = Length::of(look.images);
    let (network, crop) = choose(base, look, machine, length.seen);
    if !by_hand(base, "model.arch") {
        network.write_model(&mut keys);
    }
    network.write_settings(&mut keys);
    write_crops(&mut keys, base, look, crop);
    write_objective(&mut keys);
    write_length(&mut keys, base, look, &length);
    keys
}

/// Halves the batch if the run needs more than half of the machine's memory. Returns whether it did.
pub(super) fn halve_batch(keys: &mut Keys, config: &Config, machine: &Machine) -> bool {
    let Some(memory) = machine.memory else { return false };
    let batch = config.optim.batch_size;
    let needed = Estimate::of_training(config, machine.cores, None).total;
    if needed <= memory as f64 / 2.0 || batch == 1 || by_hand(config, "optim.batch_size") {
        return false;
    }
    keys.set("optim.batch_size", (batch / 2) as i64);
    true
}

fn by_hand(config: &Config, key: &str) -> bool {
    config.origin(key).by_hand()
}

/// A crop: side and patch.
type Crop = (usize, usize);

/// The largest network, and the largest crop for it, with which a night is enough; else the smallest.
/// What a person set stays.
fn choose(base: &Config, look: &Look, machine: &Machine, seen: f64) -> (&'static Network, Crop) {
    let largest = largest_crop(look.side);
    let crops = crops(base, largest);
    let smallest_crop = crops[0];
    let is_chosen = by_hand(base, "model.arch");
    let networks = match is_chosen {
        true => std::slice::from_ref(Network::like(&base.model)),
        false => &NETWORKS[..],
    };
    let fits = |network: &Network, (side, patch): Crop| {
        let sizes = if is_chosen { base.model.sizes() } else { network.sizes };
        let cost = operations(sizes, (side, local_side(side, patch), LOCALS), patch);
        seen * cost <= NIGHT * machine.flops()
    };
    let suits = |network: &Network, (side, _): Crop| match network.images {
        0 => side <= LARGEST_OF_SMALLEST.max(smallest_crop.0),
        // A large network on crops far below what the images have would waste both.
        _ => side >= largest.min(LARGE) || by_hand(base, "data.global_size"),
    };
    let enough = |network: &&Network| is_chosen || look.images >= network.images;
    let all = networks.iter().filter(enough).flat_map(|network| {
        crops.iter().filter(|crop| suits(network, **crop)).map(move |crop| (network, *crop))
    });
    let all: Vec<_> = all.collect();
    let best = all.iter().rfind(|(network, crop)| fits(network, *crop)).or(all.first());
    best.map_or((&networks[0], smallest_crop), |(network, crop)| (*network, *crop))
}

/// The crops to choose from, the smallest first. What a person set stays.
fn crops(base: &Config, largest: usize) -> Vec<Crop> {
    let side = by_hand(base, "data.global_size").then_some(base.data.global_size);
    let patch = by_hand(base, "model.patch_size").then_some(base.model.patch_size);
    if let Some(side) = side {
        return vec![(side, patch.unwrap_or_else(|| patch_of(side)))];
    }
    let fits = CROPS.into_iter().filter(|(side, _)| *side <= largest);
    let Some(patch) = patch.map(|patch| patch.max(1)) else { return fits.collect() };
    // The usual sides, cut down to whole patches.
    let whole = fits.map(|(side, _)| (side / patch * patch).max(2 * patch));
    let mut crops: Vec<_> = whole.map(|side| (side, patch)).collect();
    crops.dedup();
    crops
}

/// The largest side of a crop that enlarges nothing: a crop shows most of the image, so 7/8 of the side,
/// as 224 of 256.
fn largest_crop(side: usize) -> usize {
    let fits = CROPS.iter().rfind(|(crop, _)| 8 * crop <= 7 * side);
    fits.unwrap_or(&CROPS[0]).0
}

/// The patch that is usual for crops of this side; if it does not divide the side, the divisor nearest to
/// it, up to twice or half of it.
fn patch_of(side: usize) -> usize {
    let usual = CROPS.iter().rfind(|(crop, _)| *crop <= side).unwrap_or(&CROPS[0]).1;
    let divisors = (usual.div_ceil(2)..=2 * usual).filter(|patch| side.is_multiple_of(*patch));
    let ratio = |patch: &usize| (*patch as f64 / usual as f64).ln().abs();
    divisors.min_by(|a, b| ratio(a).total_cmp(&ratio(b))).unwrap_or(usual)
}

/// Half of the global crop, in whole patches.
fn local_side(side: usize, patch: usize) -> usize {
    (side / 2 / patch.max(1) * patch).max(patch)
}

fn write_crops(keys: &mut Keys, base: &Config, look: &Look, (side, patch): Crop) {
    keys.set("model.patch_size", patch as i64);
    // Small images are seen whole in the evaluation, with positions for all of their patches.
    let seen = if look.side < 2 * side { (look.side / patch * patch).max(side) } else { side };
    let (shown, resized) = if side < LARGE { (seen, seen) } else { (side, side * 8 / 7) };
    keys.set("data.global_size", side as i64);
    keys.set("data.local_size", local_side(side, patch) as i64);
    keys.set("data.local_crops", LOCALS as i64);
    keys.set("model.image_size", shown as i64);
    keys.set("eval.crop", shown as i64);
    if !by_hand(base, "eval.crop") {
        keys.set("eval.resize", resized as i64);
    }
    keys.set("eval.max_train", 10_000);
    keys.set("eval.max_test", 2_000);
    if side >= LARGE {
        return;
    }
    // A preset with scales of its own has a reason for them.
    if base.origin("data.local_scale") == Origin::Default {
        keys.set("data.global_scale", vec![0.3, 1.0]);
        keys.set("data.local_scale", vec![0.1, 0.4]);
    }
    for crop in ["first", "second", "local"] {
        keys.set(&format!("data.blur_p_{crop}"), 0.0);
    }
    // On small photographs the histogram of colors alone tells images apart.
    if base.data.hue >= HUE_OF_PHOTOS && !by_hand(base, "data.hue") {
        for (key, value) in [("saturation", 0.4), ("hue", 0.2), ("grayscale_p", 0.3)] {
            keys.set(&format!("data.{key}"), value);
        }
    }
}

fn write_objective(keys: &mut Keys) {
    keys.set("objective.method", "dino-vmf");
    keys.set("objective.centering", "sinkhorn");
    keys.set("objective.patch_temp_start", 0.07);
    keys.set("objective.patch_temp", 0.07);
    keys.set("objective.patch_center_momentum", 0.5);
    keys.set("objective.lambda_patch", 0.3);
    keys.set("optim.clip_grad", 3.0);
    keys.set("optim.freeze_last_layer_epochs", 0.0);
}

/// How long a run is, before anything a person set.
struct Length {
    /// Images seen, repetitions included.
    seen: f64,
    epochs: f64,
}

impl Length {
    fn of(images: usize) -> Self {
        let images = images.max(1) as f64;
        let epochs = (ENOUGH / images).clamp(LEAST_EPOCHS, MOST_EPOCHS).round();
        Self { seen: epochs * images, epochs }
    }
}

fn write_length(keys: &mut Keys, base: &Config, look: &Look, length: &Length) {
    let batch = match by_hand(base, "optim.batch_size") {
        true => base.optim.batch_size,
        false => batch_size(look.images, length.seen),
    };
    let steps_per_epoch = (look.images / batch.max(1)).max(1) as f64;
    let epochs = match (base.optim.epochs, base.optim.steps) {
        (_, Some(steps)) if by_hand(base, "optim.steps") => steps as f64 / steps_per_epoch,
        (Some(epochs), _) if by_hand(base, "optim.epochs") => epochs,
        _ => length.epochs,
    };
    let steps = epochs * steps_per_epoch;
    keys.set("optim.batch_size", batch as i64);
    keys.set("optim.epochs", length.epochs);
    keys.set("optim.warmup_epochs", rounded((0.05 * epochs).min(10.0)));
    let memory = (steps / 200.0).clamp(50.0, 250.0);
    keys.set("optim.teacher_momentum", rounded(1.0 - 1.0 / memory));
    keys.set("optim.teacher_momentum_end", rounded(1.0 - 0.25 / memory));
    keys.set("model.prototypes", prototypes(look.images, batch) as i64);
    keys.set("masking.start_epoch", (0.3 * epochs) as i64);
    keys.set("eval.every_epochs", ((epochs / 10.0).round() as i64).max(1));
    keys.set("run.checkpoint_every_epochs", (500.0 / steps_per_epoch).ceil());
}

/// A power of two: large enough that a run has about 10,000 steps, small enough for 8 steps an epoch.
fn batch_size(images: usize, seen: f64) -> usize {
    let [least, most] = BATCHES;
    let wanted = power_of_two((seen / 10_000.0) as usize).clamp(least, most);
    wanted.min(power_of_two(images / 8))
}

/// A power of two near one prototype for 20 images, as 65,536 for ImageNet; at most 8 for each of the two
/// global crops of a batch, among which Sinkhorn shares them out.
fn prototypes(images: usize, batch: usize) -> usize {
    let [least, most] = PROTOTYPES;
    let nearest = (images.max(20) as f64 / 20.0).log2().round();
    (2_usize.pow(nearest as u32)).min(power_of_two(16 * batch)).clamp(least, most)
}

/// The largest power of two that is not above `number`, and 1 for 0.
fn power_of_two(number: usize) -> usize {
    1 << number.max(1).ilog2()
}

/// Four digits after the point, so that a configuration reads well.
fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}
