//! Writes pickles of tensors and plain data, in protocol 2, as `torch.save` does.
//!
//! Only what [`read`](super::read) knows is written: dicts, lists, numbers, text and tensors. Nothing is
//! memoized, because nothing but storages is shared, and these are named.

use crate::dtype::Dtype;

/// What a pickle holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Object>),
    /// A tuple.
    Tuple(Vec<Object>),
    /// A dict, in this order.
    Dict(Vec<(Object, Object)>),
    /// A tensor that has all values of a storage.
    Tensor {
        /// The number of the storage, which is its name.
        storage: usize,
        /// The type of the values.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
    },
}

impl Object {
    /// A dict with keys of text.
    pub fn dict<'a>(entries: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (Self::Text(key.to_owned()), value));
        Self::Dict(entries.collect())
    }
}

/// The bytes of a pickle.
pub fn write(object: &Object) -> Vec<u8> {
    let mut out = vec![0x80, 2]; // PROTO 2
    put(object, &mut out);
    out.push(b'.'); // STOP
    out
}

fn put(object: &Object, out: &mut Vec<u8>) {
    match object {
        Object::None => out.push(b'N'),
        Object::Bool(value) => out.push(if *value { 0x88 } else { 0x89 }),
        Object::Int(value) => put_int(*value, out),
        Object::Float(value) => {
            out.push(b'G'); // BINFLOAT
            out.extend(value.to_be_bytes());
        }
        Object::Text(text) => put_text(text, out),
        Object::List(items) => {
            out.extend(b"]("); // EMPTY_LIST MARK
            items.iter().for_each(|item| put(item, out));
            out.push(b'e'); // APPENDS
        }
        Object::Tuple(items) => put_tuple(out, |out| items.iter().for_each(|item| put(item, out))),
        Object::Dict(entries) => {
            out.extend(b"}("); // EMPTY_DICT MARK
            for (key, value) in entries {
                put(key, out);
                put(value, out);
            }
            out.push(b'u'); // SETITEMS
        }
        Object::Tensor { storage, dtype, shape } => put_tensor(*storage, *dtype, shape, out),
    }
}

fn put_int(value: i64, out: &mut Vec<u8>) {
    if let Ok(value) = i32::try_from(value) {
        out.push(b'J'); // BININT
        out.extend(value.to_le_bytes());
    } else {
        out.extend([0x8a, 8]); // LONG1 of 8 bytes
        out.extend(value.to_le_bytes());
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'X'); // BINUNICODE
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_tuple(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'('); // MARK
    content(out);
    out.push(b't'); // TUPLE
}

fn put_global(module: &str, name: &str, out: &mut Vec<u8>) {
    out.extend(format!("c{module}\n{name}\n").as_bytes());
}

fn put_counts(counts: &[usize], out: &mut Vec<u8>) {
    put_tuple(out, |out| counts.iter().for_each(|count| put_int(*count as i64, out)));
}

/// `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`.
fn put_tensor(storage: usize, dtype: Dtype, shape: &[usize], out: &mut Vec<u8>) {
    let len = shape.iter().product::<usize>();
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    put_global("torch._utils", "_rebuild_tensor_v2", out);
    put_tuple(out, |out| {
        put_tuple(out, |out| {
            put_text("storage", out);
            put_global("torch", dtype.storage_class(), out);
            put_text(&storage.to_string(), out);
            put_text("cpu", out);
            put_int(len as i64, out);
        });
        out.push(b'Q'); // BINPERSID: the tuple names a storage
        put_int(0, out);
        put_counts(shape, out);
        put_counts(&strides, out);
        put(&Object::Bool(false), out);
        put_global("collections", "OrderedDict", out);
        out.extend(b")R"); // EMPTY_TUPLE REDUCE
    });
    out.push(b'R'); // REDUCE
}
