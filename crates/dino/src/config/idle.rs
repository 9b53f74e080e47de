//! Settings that have no effect beside the others.

use super::{Centering, Config, Origin, PrototypeNorm, Warning};

/// Keys that have an effect only under a condition.
struct Group {
    keys: &'static [&'static str],
    /// Whether the condition holds.
    used: bool,
    /// Why they have no effect where it does not hold.
    reason: &'static str,
}

impl Config {
    /// Keys of the command line that change nothing, one sentence each: without a word, runs that are
    /// equal would look different. Files and presets may hold such keys, for other methods to use.
    pub fn idle_keys(&self) -> Vec<Warning> {
        let groups = [self.idle_in_objective(), self.idle_in_data(), self.idle_in_evaluation()];
        let idle = groups.into_iter().flatten().filter(|group| !group.used);
        let keys = idle.flat_map(|group| group.keys.iter().map(move |key| (*key, group.reason)));
        let sentence = |(key, reason): (&str, &str)| match self.origin(key) {
            origin @ (Origin::Set | Origin::Flag(_)) => {
                Some(format!("`{key}`{origin} changes nothing, because {reason}"))
            }
            _ => None,
        };
        keys.filter_map(sentence).collect()
    }

    fn idle_in_objective(&self) -> Vec<Group> {
        let (norm, centering) = (self.objective.prototype_norm, self.objective.centering);
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
                used: self.objective.method.masks(),
                reason: "`objective.method` masks no patches",
            },
            Group {
                keys: &["objective.debye_terms", "objective.gradient_through_normalizer"],
                used: norm == PrototypeNorm::Vmf,
                reason: "`objective.prototype_norm` is not `vmf`, so there is no normalizer",
            },
            Group {
                keys: &["objective.debye_terms"],
                used: norm != PrototypeNorm::Vmf || self.model.bottleneck_dim >= vmf::EXACT_BELOW,
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
                used: self.objective.teacher_temp_warmup_epochs > 0.0,
                reason: "`objective.teacher_temp_warmup_epochs` is 0",
            },
        ]
    }

    fn idle_in_data(&self) -> Vec<Group> {
        let data = &self.data;
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

    fn idle_in_evaluation(&self) -> Vec<Group> {
        vec![Group {
            keys: &[
                "eval.every_epochs",
                "eval.k",
                "eval.temperature",
                "eval.resize",
                "eval.crop",
                "eval.batch_size",
            ],
            used: self.eval.train.is_some(),
            reason: "nothing is evaluated without `eval.train` and `eval.test`",
        }]
    }
}
