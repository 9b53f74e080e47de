//! A `Tree` is what a pickle holds: plain data and descriptions of tensors.
//!
//! Lists and dicts lie in one vector and are named by their place in it, because a pickle may mention one of
//! them several times, or even inside itself.

use std::sync::Arc;

use crate::dtype::Dtype;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A longer integer: two's complement, little-endian.
    Long(Arc<[u8]>),
    /// A float.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A class or function of the list of those that are allowed.
    Global(super::globals::Global),
    /// A list, a dict, a tensor and so on: its place in the tree.
    Node(usize),
}

/// What a place in the tree holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A list, a tuple or a set.
    Items(Vec<Value>),
    /// A dict, in the order in which it was filled.
    Dict(Vec<(Value, Value)>),
    /// The attributes of an `argparse.Namespace` or a similar object.
    Namespace(Vec<(Value, Value)>),
    /// Part of a tensor's description.
    Storage(Storage),
    /// A tensor.
    Tensor(View),
    /// A NumPy dtype or array: its arguments, then its state.
    Numpy(Vec<Value>),
}

/// The memory that a tensor is a view of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Its name in the file.
    pub key: Arc<str>,
    /// The type of its values; `None` if the tensors say it.
    pub dtype: Option<Dtype>,
    /// Number of its values; of its bytes if it has no type.
    pub len: usize,
    /// The part that tensors see, `(first value, number of values)`, if that is not all.
    pub window: Option<(usize, usize)>,
}

/// A tensor as a view of a storage. Nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Where the storage lies in the tree.
    pub storage: usize,
    /// The type, if the storage has none.
    pub dtype: Option<Dtype>,
    /// The storage's value that is the tensor's first.
    pub offset: usize,
    /// The shape.
    pub shape: Vec<usize>,
    /// Values from one index to the next, for each dimension.
    pub strides: Vec<usize>,
}

/// The content of a pickle.
#[derive(Debug, Clone)]
pub struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Value,
}

impl Tree {
    /// The whole content.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// What a value that is a node holds.
    pub fn node(&self, value: &Value) -> Option<&Node> {
        match value {
            Value::Node(place) => self.nodes.get(*place),
            _ => None,
        }
    }

    /// The entries of a dict or a namespace; none of anything else.
    pub fn entries(&self, value: &Value) -> &[(Value, Value)] {
        match self.node(value) {
            Some(Node::Dict(entries) | Node::Namespace(entries)) => entries,
            _ => &[],
        }
    }

    /// The value under these keys, from the root on. Of equal keys the last one counts, as in Python.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.root, |value, wanted| {
            let mut entries = self.entries(value).iter().rev();
            entries.find(|(key, _)| key.as_text() == Some(wanted)).map(|(_, value)| value)
        })
    }
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one that fits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer as a count, if it is one.
    pub(crate) fn as_count(&self) -> Option<usize> {
        self.as_int().and_then(|value| usize::try_from(value).ok())
    }
}
