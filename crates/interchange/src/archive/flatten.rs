//! From the nested dicts of a pickle to a list of tensors, each checked against its storage.

use std::collections::HashMap;
use std::sync::Arc;

use super::TensorInfo;
use super::part::{Part, Place};
use crate::error::Error;
use crate::pickle::{Node, Storage, Tree, Value, View};

/// How deep dicts and lists may be nested. A checkpoint needs four.
const MAX_DEPTH: usize = 64;

/// Most values that are visited. A pickle can mention one dict in many places.
const MAX_VISITS: usize = 1 << 22;

/// Most values of a tensor beside those that the file has bytes for: strides of 0 repeat values.
const MAX_REPEATED: u64 = 1 << 20;

/// All storages of a tree.
pub(super) fn storages(tree: &Tree) -> impl Iterator<Item = &Storage> {
    tree.nodes.iter().filter_map(|node| match node {
        Node::Storage(storage) => Some(storage),
        _ => None,
    })
}

/// All tensors of a tree, in order.
pub(super) fn flatten(
    tree: &Tree,
    places: &HashMap<Arc<str>, Place>,
    part: &Part,
) -> Result<Vec<TensorInfo>, Error> {
    let mut walk =
        Walk { tree, places, part, tensors: Vec::new(), name: String::new(), left: MAX_VISITS };
    walk.visit(tree.root(), 0)?;
    Ok(walk.tensors)
}

struct Walk<'a> {
    tree: &'a Tree,
    places: &'a HashMap<Arc<str>, Place>,
    part: &'a Part,
    tensors: Vec<TensorInfo>,
    name: String,
    /// Visits that are left. A tensor costs as many as its name has characters.
    left: usize,
}

impl Walk<'_> {
    fn visit(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let Value::Node(_) = value else { return Ok(()) };
        let refuse = |what: &str| Error::Unsupported {
            path: self.part.path().to_owned(),
            what: what.into(),
        };
        if depth > MAX_DEPTH {
            return Err(refuse("dicts that are nested deeper than 64"));
        }
        let tree = self.tree;
        let children = match tree.node(value) {
            Some(Node::Dict(entries) | Node::Namespace(entries)) => entries.len(),
            Some(Node::Items(items)) => items.len(),
            Some(Node::Tensor(_)) => self.name.len(),
            _ => 0,
        };
        self.left = self
            .left
            .checked_sub(1 + children)
            .ok_or_else(|| refuse("dicts with more than 4194304 values"))?;
        match tree.node(value) {
            Some(Node::Dict(entries) | Node::Namespace(entries)) => {
                for (key, value) in entries {
                    if matches!(value, Value::Node(_)) {
                        let key = self.key(key);
                        self.descend(&key, value, depth)?;
                    }
                }
            }
            Some(Node::Items(items)) => {
                for (i, value) in items.iter().enumerate() {
                    if matches!(value, Value::Node(_)) {
                        self.descend(&i.to_string(), value, depth)?;
                    }
                }
            }
            Some(Node::Tensor(view)) => {
                let tensor = self.tensor(view)?;
                self.tensors.push(tensor);
            }
            _ => {}
        }
        Ok(())
    }

    fn descend(&mut self, key: &str, value: &Value, depth: usize) -> Result<(), Error> {
        let length = self.name.len();
        if depth > 0 {
            self.name.push('/');
        }
        self.name.push_str(key);
        self.visit(value, depth + 1)?;
        self.name.truncate(length);
        Ok(())
    }

    /// A key as part of a name.
    fn key(&self, key: &Value) -> String {
        match key {
            Value::Text(text) => text.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            _ => "?".to_owned(),
        }
    }

    /// Checks a view.
    fn tensor(&self, view: &View) -> Result<TensorInfo, Error> {
        let damaged = |reason: String| self.part.damaged(format!("tensor `{}`", self.name), reason);
        let Node::Storage(storage) = &self.tree.nodes[view.storage] else {
            return Err(damaged("it has no storage".to_owned()));
        };
        let Some(dtype) = view.dtype.or(storage.dtype) else {
            return Err(damaged("it has no type".to_owned()));
        };
        let place = &self.places[&storage.key];
        let size = dtype.size();
        let announced = storage.len.checked_mul(storage.dtype.map_or(1, crate::Dtype::size));
        if announced.is_none_or(|bytes| bytes as u64 != place.len) {
            let key = &storage.key;
            let reason = format!(
                "its storage `{key}` is announced with {} values of {dtype}, but has {} bytes",
                storage.len, place.len
            );
            return Err(damaged(reason));
        }
        let (first, values) = match storage.window {
            None => (0, place.len as usize / size),
            Some((first, count)) => (first, count),
        };
        let end = first.checked_add(values).and_then(|end| end.checked_mul(size));
        let inside = end.is_some_and(|end| end as u64 <= place.len);
        if !inside || last_value(view).is_none_or(|last| last >= values) {
            let shape = &view.shape;
            if !view.shape.contains(&0) {
                let reason = format!(
                    "its values {shape:?} from {} on go past the {values} of its storage `{}`",
                    view.offset, storage.key
                );
                return Err(damaged(reason));
            }
        }
        let count = view.shape.iter().try_fold(1u64, |count, &size| count.checked_mul(size as u64));
        if count.is_none_or(|count| count > self.part.len() + MAX_REPEATED) {
            let reason = format!("a tensor {:?} does not fit into the file", view.shape);
            return Err(damaged(reason));
        }
        Ok(TensorInfo {
            name: self.name.clone(),
            dtype,
            shape: view.shape.clone(),
            strides: view.strides.clone(),
            offset: view.offset.saturating_add(first),
            place: place.clone(),
        })
    }
}

/// The last value of its storage that a view has; none if the number is too large.
fn last_value(view: &View) -> Option<usize> {
    let dimensions = view.shape.iter().zip(&view.strides);
    dimensions.into_iter().try_fold(view.offset, |last, (&size, &stride)| {
        last.checked_add(size.checked_sub(1)?.checked_mul(stride)?)
    })
}
