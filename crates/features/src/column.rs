//! The columns of a file of features.

use probe::analysis::membership::Membership;
use probe::{Kind, Preprocess, Source};

/// Features that are written: one column of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name in the file, such as `cls`.
    pub name: String,
    /// What its values are.
    pub values: Values,
    /// Shape of an image's values: `[d]`, `[patches, d]`, or `[]` for a single one.
    pub shape: Vec<usize>,
}

/// The values of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// These vectors of the network.
    Features(Kind),
    /// Where the head's vector of the \[CLS\] token stands in the mixture.
    Mixture(Measure),
}

/// What is known of a vector in the mixture. The names in the docs are those of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// `component`: the most probable component, an integer.
    Component,
    /// `responsibility`: its probability.
    Responsibility,
    /// `entropy`: that of the probabilities of all components, in nats.
    Entropy,
    /// `log_likelihood`: under the whole mixture, in nats.
    LogLikelihood,
}

/// How the 32 bits of a value are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    Float,
    Integer,
}

impl Column {
    /// A column of features that `source` makes of images that are preprocessed so.
    pub fn new(name: &str, kind: Kind, source: &dyn Source, preprocess: &Preprocess) -> Self {
        let view = preprocess.shape(1);
        let (rows, width) = (source.rows(kind, &view), source.width(kind, &view));
        let shape = if kind.is_of_patches() { vec![rows, width] } else { vec![width] };
        Self { name: name.to_owned(), values: Values::Features(kind), shape }
    }

    /// A column that says this of each image.
    pub fn of_mixture(measure: Measure) -> Self {
        let (name, values) = (measure.name().to_owned(), Values::Mixture(measure));
        Self { name, values, shape: Vec::new() }
    }

    /// Number of values of an image.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if images have no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The vectors that its values are made of.
    pub(crate) fn kind(&self) -> Kind {
        match self.values {
            Values::Features(kind) => kind,
            Values::Mixture(_) => Kind::Bottleneck,
        }
    }

    pub(crate) fn dtype(&self) -> Dtype {
        match self.values {
            Values::Mixture(Measure::Component) => Dtype::Integer,
            Values::Features(_) | Values::Mixture(_) => Dtype::Float,
        }
    }
}

impl Measure {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 4] =
        [Self::Component, Self::Responsibility, Self::Entropy, Self::LogLikelihood];

    /// The name of its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Responsibility => "responsibility",
            Self::Entropy => "entropy",
            Self::LogLikelihood => "log_likelihood",
        }
    }

    /// The four bytes of the value, as they are in files.
    pub(crate) fn bytes(self, of: &Membership) -> [u8; 4] {
        let float = |value: f64| (value as f32).to_le_bytes();
        match self {
            Self::Component => of.component.to_le_bytes(), // below 2³¹: as i32 the same
            Self::Responsibility => float(of.responsibility),
            Self::Entropy => float(of.entropy),
            Self::LogLikelihood => float(of.log_likelihood),
        }
    }
}
