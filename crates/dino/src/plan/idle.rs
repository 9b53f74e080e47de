//! Settings that have no effect with the others.

use crate::config::{Centering, Config, During, PrototypeNorm, Warning};

/// Keys that have an effect only under a condition.
struct Group {
    keys: &'static [&'static str],
    /// Whether the condition holds.
    used: bool,
    /// Why they have no effect where it does not hold.
    reason: &'static str,
}

/// Keys of the command line that change nothing, one sentence each. Without them, equal runs would look
/// different. Keys in files and presets are not reported: they may be meant for other methods.
pub fn idle_keys(config: &Config) -> Vec<Warning> {
    let groups = [in_start(config), in_objective(config), in_data(config), in_evaluation(config)];
    let idle = groups.into_iter().flatten().filter(|group| !group.used);
    let keys = idle.flat_map(|group| group.keys.iter().map(move |key| (*key, group.reason)));
    let sentence = |(key, reason): (&str, &str)| {
        let origin = config.origin(key);
        origin
            .on_command_line()
            .then(|| format!("`{key}`{origin} changes nothing, because {reason}"))
    };
    keys.filter_map(sentence).collect()
}

fn in_start(config: &Config) -> Vec<Group> {
    vec![Group {
        keys: &["init.key", "init.heads", "init.ignore", "init.fresh_heads", "init.guard"],
        used: config.init.checkpoint.is_some(),
        reason: "the run starts from no checkpoint: `--init FILE` names one",
    }]
}

fn in_objective(config: &Config) -> Vec<Group> {
    let (norm, centering) = (config.objective.prototype_norm(), config.objective.centering());
    vec![
        Group {
            keys: &[
                "masking.shape",
                "masking.ratios",
                "masking.spreads",
                "masking.start_epoch",
                "model.patch_prototypes",
                "objective.patch_temp_start",
                "objective.patch_temp",
                "objective.patch_center_momentum",
                "objective.lambda_patch",
            ],
            used: config.objective.method.masks(),
            reason: "`objective.method` masks no patches",
        },
        Group {
            keys: &["objective.debye_terms", "objective.gradient_through_normalizer"],
            used: norm == PrototypeNorm::Vmf,
            reason: "`objective.prototype_norm` is not `vmf`, so there is no normalizer",
        },
        Group {
            keys: &["objective.debye_terms"],
            used: norm != PrototypeNorm::Vmf || config.model.bottleneck_dim >= vmf::EXACT_BELOW,
            reason: "the normalizer is always exact where `model.bottleneck_dim` is below 16",
        },
        Group {
            keys: &["optim.decay_norms"],
            used: norm != PrototypeNorm::L2,
            reason: "`objective.prototype_norm` is `l2`, so norms are fixed",
        },
        Group {
            keys: &["objective.sinkhorn_iterations"],
            used: centering == Centering::Sinkhorn,
            reason: "`objective.centering` is not `sinkhorn`",
        },
        Group {
            keys: &["objective.center_momentum"],
            used: centering != Centering::Sinkhorn,
            reason: "`objective.centering` is `sinkhorn`, which balances each batch on its own",
        },
        Group {
            keys: &["objective.teacher_temp_start"],
            used: config.objective.teacher_temp_warmup_epochs > 0.0,
            reason: "`objective.teacher_temp_warmup_epochs` is 0",
        },
    ]
}

fn in_data(config: &Config) -> Vec<Group> {
    let data = &config.data;
    let locals = data.local_crops > 0;
    let blurred = [data.blur_p_first, data.blur_p_second, data.blur_p_local];
    vec![
        Group {
            keys: &["data.local_size", "data.local_scale", "data.blur_p_local"],
            used: locals,
            reason: "`data.local_crops` is 0",
        },
        Group {
            keys: &["data.brightness", "data.contrast", "data.saturation", "data.hue"],
            used: data.jitter_p > 0.0,
            reason: "`data.jitter_p` is 0",
        },
        Group {
            keys: &["data.blur_radius"],
            used: blurred.iter().any(|p| *p > 0.0),
            reason: "no crop is blurred: `data.blur_p_first`, `data.blur_p_second` and \
                     `data.blur_p_local` are 0",
        },
        Group {
            keys: &["data.solarize_threshold"],
            used: data.solarize_p > 0.0,
            reason: "`data.solarize_p` is 0",
        },
    ]
}

fn in_evaluation(config: &Config) -> Vec<Group> {
    let is_evaluated = config.eval.train.is_some();
    vec![
        Group {
            keys: &["eval.every_epochs"],
            used: is_evaluated || config.init.is_guarded(),
            reason: "nothing is evaluated without `eval.train` and `eval.test`",
        },
        Group {
            keys: &[
                "eval.during",
                "eval.keep_best",
                "eval.k",
                "eval.temperature",
                "eval.resize",
                "eval.crop",
                "eval.batch_size",
            ],
            used: is_evaluated,
            reason: "nothing is evaluated without `eval.train` and `eval.test`",
        },
        Group {
            keys: &["eval.k", "eval.temperature"],
            used: !is_evaluated || config.eval.during.contains(&During::Knn),
            reason: "`eval.during` does not name `knn`",
        },
    ]
}
