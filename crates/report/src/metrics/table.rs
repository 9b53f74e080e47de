//! The table of all metrics. A new metric is one entry here and a call of
//! [`Metrics::add`](super::Metrics::add) where it is computed.

use super::{Group, Reduce, Unit};

/// Makes [`Metric`] from entries `Variant: key, group, unit, reduce`. The doc comment of an entry is the meaning
/// that `docs/metrics.md` shows.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $metric:ident: $key:literal, $group:ident, $unit:ident, $reduce:ident;)+) => {
        /// The name of a metric of a training step.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[doc = $doc])+ $metric,)+
        }

        impl Metric {
            /// All metrics, in the order in which they are written.
            pub const ALL: &[Self] = &[$(Self::$metric),+];

            /// The key in `metrics.jsonl`.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$metric => $key,)+ }
            }

            /// The group of its chart in TensorBoard.
            pub const fn group(self) -> Group {
                match self { $(Self::$metric => Group::$group,)+ }
            }

            /// The unit of its values.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$metric => Unit::$unit,)+ }
            }

            /// How values of micro-batches and processes become one.
            pub const fn reduce(self) -> Reduce {
                match self { $(Self::$metric => Reduce::$reduce,)+ }
            }

            /// What it means, in words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$metric => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

metrics! {
    /// Epoch of the step, from 0.
    Epoch: "epoch", Train, Count, Last;
    /// Loss: the sum of all terms, each with its weight.
    Loss: "loss", Train, Nats, Mean;
    /// Mean entropy of the teacher's assignments of \[CLS\] tokens.
    TeacherEntropy: "teacher_entropy", Train, Nats, Mean;
    /// Mean KL divergence of the student's assignments of \[CLS\] tokens from the teacher's: cross-entropy
    /// minus the teacher's entropy.
    Kl: "kl", Train, Nats, Mean;
    /// Number of different prototypes to which the teacher assigns the global crops of the batch.
    PrototypesInUse: "prototypes_in_use", Train, Count, Last;
    /// Entropy of the histogram of these prototypes.
    AssignmentEntropy: "assignment_entropy", Train, Nats, Last;
    /// Spread of the teacher's \[CLS\] vectors, in [0, 1]; 0 if all are equal.
    FeatureStd: "feature_std", Train, None, Last;
    /// How much more alike two crops of one image are than crops of different images, at most 1; 0 if the
    /// image makes no difference. Missing if a batch has one image.
    ImageAgreement: "image_agreement", Train, None, Last;
    /// Mean concentration κ of the student's prototypes.
    KappaMean: "kappa_mean", Train, None, Last;
    /// Largest concentration κ of the student's prototypes.
    KappaMax: "kappa_max", Train, None, Last;
    /// Norm of the whole gradient before clipping.
    GradNorm: "grad_norm", Train, None, Last;
    /// Learning rate.
    Lr: "lr", Train, None, Last;
    /// Weight decay.
    WeightDecay: "weight_decay", Train, None, Last;
    /// Momentum of the teacher.
    Momentum: "momentum", Train, None, Last;
    /// Temperature of the teacher.
    TeacherTemp: "teacher_temp", Train, None, Last;
    /// The part of the loss from masked patches. Missing for methods that do not mask.
    PatchLoss: "patch_loss", Train, Nats, Mean;
    /// Mean entropy of the teacher's assignments of patches, masked or not. Missing for methods that do not
    /// mask.
    PatchTeacherEntropy: "patch_teacher_entropy", Train, Nats, Mean;
    /// Number of different prototypes to which the teacher assigns the patches of the batch. Missing for
    /// methods that do not mask.
    PatchPrototypesInUse: "patch_prototypes_in_use", Train, Count, Last;
    /// Training speed over about ten steps.
    ImagesPerSecond: "images_per_second", Data, ImagesPerSecond, Sum;
    /// Share of this time spent waiting for images, in [0, 1].
    DataWaitShare: "data_wait_share", Data, None, Max;
    /// Memory that the tensor pool has taken from the system.
    MemoryMib: "memory_mib", Data, Mib, Max;
}
