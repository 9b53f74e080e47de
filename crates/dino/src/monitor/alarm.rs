//! An [`Alarm`] says what goes wrong in a run, why, and what to try.

use std::fmt;

use serde::{Serialize, Serializer};

/// A way in which training fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The features do not depend on the image.
    Feature,
    /// The teacher assigns every image equally to all prototypes.
    Uniform,
    /// The teacher assigns every image to the same prototype.
    OneHot,
    /// Most prototypes are near-duplicates of others.
    Partial,
    /// The teacher equals the student.
    Aliased,
    /// The concentrations of the prototypes have grown by orders of magnitude.
    Norms,
    /// The gradients are far above their median.
    Gradients,
    /// The weights are far above their start.
    Weights,
}

impl Kind {
    /// All kinds, in the order of their discriminants.
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

    /// Its name on the progress line and in `metrics.jsonl`.
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

    /// Whether it ends a run with `run.on_collapse = "stop"`. Partial collapse only warns: it happens to heads
    /// with many prototypes in runs with good features (arXiv:2410.14060 finds it in every method of the
    /// DINO family), and must not end those.
    pub fn ends_run(self) -> bool {
        self != Self::Partial
    }

    /// What it means.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Feature => {
                "collapsed: the features do not depend on the image, because the images are all alike or \
                 the network no longer responds to its input"
            }
            Self::Uniform => {
                "collapsed: the teacher assigns every image equally to all prototypes, so the student \
                 has nothing to learn from it"
            }
            Self::OneHot => {
                "collapsed: the teacher assigns every image to the same prototype, because the center \
                 follows the teacher too slowly"
            }
            Self::Partial => "most prototypes are near-duplicates and add nothing",
            Self::Aliased => {
                "the teacher has the weights of the student, because its momentum is too low or the \
                 student does not learn"
            }
            Self::Norms => {
                "nothing limits the norms of the prototypes: without a normalizer longer prototypes attract \
                 more images, or the learning rate is too high"
            }
            Self::Gradients => "the learning rate is too high, and training is about to diverge",
            Self::Weights => {
                "the learning rate is too high, and every step makes the weights larger"
            }
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// An alarm that is raised or cleared, one line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// Steps done.
    pub step: u64,
    /// Its kind.
    #[serde(rename = "name")]
    pub kind: Kind,
    /// Whether it is raised; otherwise it is cleared.
    pub raised: bool,
    /// The measured values, in words.
    pub found: String,
    /// What it means.
    pub cause: &'static str,
    /// What to try; nothing that the run has already.
    pub remedy: String,
}

impl fmt::Display for Alarm {
    /// What is wrong and what to try, or that it is over; in one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, kind, found, cause, remedy, .. } = self;
        let name = kind.name();
        match self.raised {
            true => write!(f, "{name} at step {step}: {found}; {cause}; {remedy}"),
            false => write!(f, "{name} is cleared at step {step}: {found}"),
        }
    }
}
