//! Keys that somebody set and that change nothing beside the others.

use super::{Centering, Config, Origin, PrototypeNorm, Warning};

/// What only methods that mask look at.
const OF_MASKS: [&str; 9] = [
    "masking.shape",
    "masking.ratios",
    "masking.spreads",
    "masking.start_epoch",
    "model.patch_prototypes",
    "objective.patch_temp_start",
    "objective.patch_temp",
    "objective.patch_center_momentum",
    "objective.lambda_patch",
];
const OF_NORMALIZER: [&str; 2] = ["objective.debye_terms", "objective.gradient_through_normalizer"];

impl Config {
    /// Keys of the command line that change nothing, one sentence each: without a word, runs that are
    /// equal would look different. Files and presets may hold such keys, for other methods to use.
    pub fn idle_keys(&self) -> Vec<Warning> {
        let (norm, centering) = (self.objective.prototype_norm, self.objective.centering);
        let groups: [(&[&str], bool, &str); 5] = [
            (&OF_MASKS, self.objective.method.masks(), "`objective.method` masks no patches"),
            (
                &OF_NORMALIZER,
                norm == PrototypeNorm::Vmf,
                "`objective.prototype_norm` is not `vmf`, so there is no normalizer",
            ),
            (
                &["optim.decay_norms"],
                norm != PrototypeNorm::L2,
                "`objective.prototype_norm` is `l2`, so norms are fixed",
            ),
            (
                &["objective.sinkhorn_iterations"],
                centering == Centering::Sinkhorn,
                "`objective.centering` is not `sinkhorn`",
            ),
            (
                &["objective.center_momentum"],
                centering != Centering::Sinkhorn,
                "`objective.centering` is `sinkhorn`, which balances each batch on its own",
            ),
        ];
        let idle = groups.iter().filter(|(_, used, _)| !used);
        let keys = idle.flat_map(|(keys, _, reason)| keys.iter().map(move |key| (key, reason)));
        let sentence = |(key, reason): (&&str, &&str)| match self.origin(key) {
            origin @ (Origin::Set | Origin::Flag(_)) => {
                Some(format!("`{key}`{origin} changes nothing, because {reason}"))
            }
            _ => None,
        };
        keys.filter_map(sentence).collect()
    }
}
