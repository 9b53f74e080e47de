//! What the allowed classes and functions make of their arguments.

use super::globals::Global;
use super::machine::Machine;
use super::value::{Node, Storage, Value, View};
use super::{Failure, MAX_RANK, Result};
use crate::dtype::Dtype;

impl Machine<'_> {
    /// The value of a call, or of a new object of a class.
    pub(super) fn make(&mut self, callee: Global, arguments: &[Value]) -> Result<Value> {
        match callee {
            Global::Dict => self.dict(arguments),
            Global::DefaultDict => self.add(Node::Dict(Vec::new())),
            Global::Items => {
                let items = match arguments {
                    [] => Vec::new(),
                    [list] => self.items(list)?,
                    _ => return Err(self.bad("a list")),
                };
                self.add(Node::Items(items))
            }
            Global::Namespace if arguments.is_empty() => self.add(Node::Namespace(Vec::new())),
            Global::Path => self.path(arguments),
            Global::Device => self.add(Node::Items(arguments.to_vec())),
            Global::Bytes | Global::Encode => self.bytes(arguments),
            Global::Tensor => self.tensor(arguments, None),
            Global::TypedTensor => match arguments.get(6) {
                Some(Value::Global(Global::TorchDtype(dtype))) => {
                    self.tensor(arguments, Some(*dtype))
                }
                _ => Err(self.bad("a tensor with a dtype")),
            },
            Global::Parameter => match arguments.first() {
                Some(tensor) if matches!(self.node(tensor), Some(Node::Tensor(_))) => {
                    Ok(tensor.clone())
                }
                _ => Err(self.bad("a parameter")),
            },
            Global::WithAttributes => match arguments {
                [Value::Global(rebuild), Value::Global(Global::Mentioned), inner, _]
                    if *rebuild != Global::WithAttributes =>
                {
                    let inner = self.items(inner)?;
                    self.make(*rebuild, &inner)
                }
                _ => Err(self.bad("a tensor with attributes")),
            },
            Global::NumpyDtype | Global::NumpyArray => self.add(Node::Numpy(arguments.to_vec())),
            Global::NumpyScalar => self.numpy_scalar(arguments),
            Global::Namespace
            | Global::Mentioned
            | Global::Storage(_)
            | Global::UntypedStorage
            | Global::TorchDtype(_) => Err(self.bad("an object")),
        }
    }

    fn bad(&self, what: &str) -> Failure {
        Failure::damaged(self.at, format!("{what} is made of arguments that do not fit"))
    }

    /// A copy of the items of a list.
    fn items(&mut self, value: &Value) -> Result<Vec<Value>> {
        let Some(Node::Items(items)) = self.node(value) else {
            return Err(self.bad("a list"));
        };
        let items = items.clone();
        self.spend(items.len())?;
        Ok(items)
    }

    /// A dict of nothing, of another dict, or of a list of pairs.
    fn dict(&mut self, arguments: &[Value]) -> Result<Value> {
        let entries = match arguments {
            [] => Vec::new(),
            [source] => match self.node(source) {
                Some(Node::Dict(entries)) => {
                    let entries = entries.clone();
                    self.spend(entries.len())?;
                    entries
                }
                _ => {
                    let pairs = self.items(source)?;
                    let pair = |pair: &Value| match self.node(pair) {
                        Some(Node::Items(items)) => match items.as_slice() {
                            [key, value] => Ok((key.clone(), value.clone())),
                            _ => Err(self.bad("a dict")),
                        },
                        _ => Err(self.bad("a dict")),
                    };
                    pairs.iter().map(pair).collect::<Result<_>>()?
                }
            },
            _ => return Err(self.bad("a dict")),
        };
        self.add(Node::Dict(entries))
    }

    fn path(&mut self, parts: &[Value]) -> Result<Value> {
        let mut path = String::new();
        for part in parts {
            let part = part.as_text().ok_or_else(|| self.bad("a path"))?;
            if !path.is_empty() && !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(part);
        }
        self.spend(path.len())?;
        Ok(Value::Text(path.into()))
    }

    /// Bytes of nothing, of bytes, or of text in which each character stands for a byte.
    fn bytes(&mut self, arguments: &[Value]) -> Result<Value> {
        match arguments {
            [] => Ok(Value::Bytes([].into())),
            [Value::Bytes(bytes)] => Ok(Value::Bytes(bytes.clone())),
            [Value::Text(text), Value::Text(encoding)]
                if matches!(&**encoding, "latin1" | "latin-1") =>
            {
                self.spend(text.len())?;
                let byte = |c: char| u8::try_from(u32::from(c)).map_err(|_| self.bad("bytes"));
                Ok(Value::Bytes(text.chars().map(byte).collect::<Result<_>>()?))
            }
            _ => Err(self.bad("bytes")),
        }
    }

    /// `(storage, offset, shape, strides, …)`.
    fn tensor(&mut self, arguments: &[Value], dtype: Option<Dtype>) -> Result<Value> {
        let [Value::Node(storage), offset, shape, strides, ..] = arguments else {
            return Err(self.bad("a tensor"));
        };
        if !matches!(self.nodes.get(*storage), Some(Node::Storage(_))) {
            return Err(self.bad("a tensor"));
        }
        let offset = offset.as_count().ok_or_else(|| self.bad("a tensor"))?;
        let (shape, strides) = (self.counts(shape)?, self.counts(strides)?);
        if shape.len() != strides.len() {
            return Err(self.bad("a tensor"));
        }
        self.add(Node::Tensor(View { storage: *storage, dtype, offset, shape, strides }))
    }

    /// A tuple of sizes.
    fn counts(&mut self, value: &Value) -> Result<Vec<usize>> {
        let items = self.items(value)?;
        if items.len() > MAX_RANK {
            let what = format!("a tensor of {} dimensions", items.len());
            return Err(Failure::unsupported(self.at, what));
        }
        let counts: Option<_> = items.iter().map(Value::as_count).collect();
        counts.ok_or_else(|| self.bad("a tensor"))
    }

    /// `("storage", class, key, device, length)`; old files add a window of the storage.
    pub(super) fn storage(&mut self, id: &Value) -> Result<Value> {
        let id = self.items(id)?;
        let [kind, Value::Global(class), Value::Text(key), _, len, rest @ ..] = id.as_slice()
        else {
            return Err(self.bad("a storage"));
        };
        let dtype = match class {
            Global::Storage(dtype) => Some(*dtype),
            Global::UntypedStorage => None,
            _ => return Err(self.bad("a storage")),
        };
        let (Some("storage"), Some(len)) = (kind.as_text(), len.as_count()) else {
            return Err(self.bad("a storage"));
        };
        let window = match rest {
            [] | [Value::None] => None,
            [window] => match self.items(window)?.as_slice() {
                [_, first, count] => match (first.as_count(), count.as_count()) {
                    (Some(first), Some(count)) => Some((first, count)),
                    _ => return Err(self.bad("a storage")),
                },
                _ => return Err(self.bad("a storage")),
            },
            _ => return Err(self.bad("a storage")),
        };
        self.add(Node::Storage(Storage { key: key.clone(), dtype, len, window }))
    }

    /// Sets the state of an object.
    pub(super) fn build(&mut self, object: &Value, state: &Value) -> Result<()> {
        let entries = match self.node(state) {
            Some(Node::Dict(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        self.spend(entries.len())?;
        let at = self.at;
        match self.node_mut(object) {
            Some(Node::Namespace(attributes)) => attributes.extend(entries),
            Some(Node::Numpy(parts)) => parts.push(state.clone()),
            // attributes of an `OrderedDict` are module versions, which no weight depends on
            Some(Node::Dict(_) | Node::Tensor(_)) => {}
            _ => return Err(Failure::damaged(at, "a state is set on what is no object")),
        }
        Ok(())
    }

    /// `(dtype, bytes)`: a number.
    fn numpy_scalar(&mut self, arguments: &[Value]) -> Result<Value> {
        let [dtype, Value::Bytes(bytes)] = arguments else {
            return Err(self.bad("a NumPy scalar"));
        };
        let Some(Node::Numpy(parts)) = self.node(dtype) else {
            return Err(self.bad("a NumPy scalar"));
        };
        let code = parts.first().and_then(Value::as_text).unwrap_or_default().to_owned();
        let order = parts.last().and_then(|state| match self.node(state) {
            Some(Node::Items(items)) => items.get(1)?.as_text(),
            _ => None,
        });
        if order == Some(">") {
            return Err(Failure::unsupported(self.at, "a big-endian NumPy scalar"));
        }
        plain_number(&code, bytes).ok_or_else(|| {
            Failure::unsupported(self.at, format!("a NumPy scalar of type `{code}`"))
        })
    }
}

/// The number of a NumPy type code such as `f8`.
fn plain_number(code: &str, bytes: &[u8]) -> Option<Value> {
    let int = |signed: bool| {
        let negative = signed && bytes.last()? & 0x80 != 0;
        let mut all = [if negative { 0xff } else { 0 }; 8];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Value::Int(i64::from_le_bytes(all)))
    };
    match (code, bytes.len()) {
        ("f8", 8) => Some(Value::Float(f64::from_le_bytes(bytes.try_into().ok()?))),
        ("f4", 4) => Some(Value::Float(f64::from(f32::from_le_bytes(bytes.try_into().ok()?)))),
        ("b1", 1) => Some(Value::Bool(bytes[0] != 0)),
        ("i1", 1) | ("i2", 2) | ("i4", 4) | ("i8", 8) => int(true),
        ("u1", 1) | ("u2", 2) | ("u4", 4) => int(false),
        ("u8", 8) => int(false).filter(|value| value.as_count().is_some()),
        _ => None,
    }
}
