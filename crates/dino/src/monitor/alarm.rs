//! The alarms: their names, what they mean and what can be done.

use serde::{Serialize, Serializer};

/// A way in which training fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The features do not depend on the image.
    Feature,
    /// Every image belongs to all prototypes alike.
    Uniform,
    /// Every image belongs to one and the same prototype.
    OneHot,
    /// Most prototypes are copies of others.
    Partial,
    /// The teacher is the student.
    Aliased,
    /// Concentrations of prototypes grow without limit.
    Norms,
    /// Gradients are far above what they were.
    Gradients,
    /// Weights are far above what they were at the start.
    Weights,
}

impl Kind {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 8] = [
        Self::Feature,
        Self::Uniform,
        Self::OneHot,
        Self::Partial,
        Self::Aliased,
        Self::Norms,
        Self::Gradients,
        Self::Weights,
    ];

    /// What it is called on the progress line and in `metrics.jsonl`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feature => "feature-collapse",
            Self::Uniform => "uniform-collapse",
            Self::OneHot => "one-hot-collapse",
            Self::Partial => "partial-collapse",
            Self::Aliased => "aliased-teacher",
            Self::Norms => "exploding-norms",
            Self::Gradients => "exploding-gradients",
            Self::Weights => "exploding-weights",
        }
    }

    /// Whether `run.on_collapse = "stop"` ends a run on it. Partial collapse only warns: heads of DINO
    /// with many prototypes meet it in runs whose features are good (arXiv:2410.14060 finds it in every
    /// method of the family), so a queue of such runs must not lose them to it.
    pub fn ends_run(self) -> bool {
        self != Self::Partial
    }

    /// What it means.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Feature => {
                "collapsed: the features are the same for all images, because the images are, or \
                 because the network is dead"
            }
            Self::Uniform => {
                "collapsed: every image belongs to all prototypes alike, so there is nothing to learn \
                 from the teacher"
            }
            Self::OneHot => {
                "collapsed: every image belongs to the same prototype, because the center does not \
                 keep up with the teacher"
            }
            Self::Partial => "most prototypes are copies of others, which fill the mixture in vain",
            Self::Aliased => {
                "the teacher is the student of the step before or of this one, because its momentum is too low \
                 or nothing is learned"
            }
            Self::Norms => {
                "nothing holds the prototypes' norms: without a normalizer longer ones win, or steps \
                 are too long"
            }
            Self::Gradients => "steps are too long, and training is about to diverge",
            Self::Weights => "steps are too long, and the weights grow with each",
        }
    }

    /// What to try.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Feature => {
                "look at the images (`dino-vmf data preview SOURCE`), or start anew with a lower \
                 `--set optim.lr=…`"
            }
            Self::Uniform => {
                "start anew with a lower `--set objective.teacher_temp=…` and `teacher_temp_start`, a \
                 lower `optim.lr`, or `--set model.init_std=…` near 1/√embed_dim"
            }
            Self::OneHot => {
                "start anew with `--set objective.center_momentum=0.5`, a higher \
                 `objective.teacher_temp`, or `--set objective.centering=sinkhorn`"
            }
            Self::Partial => {
                "start anew with `--set objective.lambda_koleo=0.1` or fewer `model.prototypes`"
            }
            Self::Aliased => {
                "start anew with `--set optim.teacher_momentum=0.996` and an `optim.lr` above 0"
            }
            Self::Norms => {
                "start anew with `--set objective.prototype_norm=vmf` (or `l2`), `--set \
                 optim.clip_grad=0.3`, or a lower `optim.lr`"
            }
            Self::Gradients | Self::Weights => {
                "go back to an earlier checkpoint, or start anew with a lower `--set optim.lr=…` or \
                 `--set optim.clip_grad=0.3`"
            }
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// An alarm that starts or ends, one line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// Steps done.
    pub step: u64,
    /// Which.
    #[serde(rename = "name")]
    pub kind: Kind,
    /// Whether it starts; otherwise it ends.
    pub raised: bool,
    /// What was measured, in words.
    pub found: String,
    /// What it means.
    pub cause: &'static str,
    /// What to try.
    pub remedy: &'static str,
}

impl Alarm {
    pub(super) fn new(step: u64, kind: Kind, raised: bool, found: String) -> Self {
        Self { step, kind, raised, found, cause: kind.cause(), remedy: kind.remedy() }
    }
}
