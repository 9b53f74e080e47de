//! Reads the ground truth of revisited Oxford and Paris as it is published: a Python pickle.
//!
//! The pickle is a dict with the lists `imlist`, `qimlist` and `gnd`. Each entry of `gnd` is a dict of lists or NumPy
//! arrays of numbers.

use anyhow::{Context, Result, anyhow, ensure};
use interchange::pickle::{self, Kind, Node, Tree, Value};

use super::ground_truth::{Entry, File};

/// Reads a pickle. Nothing in it is executed.
///
/// # Errors
/// Bytes that are no pickle, or another one.
pub(super) fn read(bytes: &[u8]) -> Result<File> {
    let (tree, _) = pickle::read(bytes).map_err(|failure| {
        let reason = match failure.kind {
            Kind::Damaged(reason) => format!("it is damaged: {reason}"),
            Kind::Code(name) => format!("it refers to code, `{name}`, which is not executed"),
            Kind::Unsupported(what) => format!("it has {what}"),
        };
        anyhow!("byte {} of the pickle: {reason}", failure.offset)
    })?;
    let list = |key: &str| {
        let list = tree.get(&[key]).and_then(|value| items(&tree, value));
        list.with_context(|| format!("it has no list `{key}`"))
    };
    let names = |key: &str| -> Result<Vec<String>> {
        let name = |value: &Value| value.as_text().map(str::to_owned);
        let names = list(key)?.iter().map(name).collect::<Option<_>>();
        names.with_context(|| format!("`{key}` has an entry that is no name"))
    };
    let entry = |(place, value): (usize, &Value)| {
        entry(&tree, value).with_context(|| format!("entry {place} of `gnd`, counted from 0"))
    };
    Ok(File {
        imlist: names("imlist")?,
        qimlist: names("qimlist")?,
        gnd: list("gnd")?.iter().enumerate().map(entry).collect::<Result<_>>()?,
    })
}

fn entry(tree: &Tree, value: &Value) -> Result<Entry> {
    let find = |wanted: &str| {
        let mut entries = tree.entries(value).iter().rev();
        entries.find(|(key, _)| key.as_text() == Some(wanted)).map(|(_, value)| value)
    };
    let places = |key: &str| -> Result<Vec<usize>> {
        let values = find(key).with_context(|| format!("it has no `{key}`"))?;
        let values =
            numbers(tree, values).with_context(|| format!("`{key}` is no list of numbers"))?;
        let place = |value: f64| (value >= 0.0 && value.fract() == 0.0).then_some(value as usize);
        let places = values.into_iter().map(place).collect::<Option<_>>();
        places.with_context(|| format!("`{key}` has a number that is no place of an image"))
    };
    let bbx = find("bbx").map(|value| -> Result<[f64; 4]> {
        let numbers = numbers(tree, value).context("`bbx` is no list of numbers")?;
        let count = numbers.len();
        ensure!(numbers.iter().all(|number| number.is_finite()), "`bbx` is not finite");
        numbers.try_into().map_err(|_| anyhow!("`bbx` has {count} numbers in place of 4"))
    });
    Ok(Entry {
        bbx: bbx.transpose()?,
        easy: places("easy")?,
        hard: places("hard")?,
        junk: places("junk")?,
    })
}

fn items<'a>(tree: &'a Tree, value: &Value) -> Option<&'a [Value]> {
    match tree.node(value)? {
        Node::Items(items) => Some(items),
        _ => None,
    }
}

/// The numbers of a list or of a NumPy array of one dimension.
fn numbers(tree: &Tree, value: &Value) -> Option<Vec<f64>> {
    match tree.node(value)? {
        Node::Items(items) => items.iter().map(number).collect(),
        Node::Numpy(parts) => array(tree, parts),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        value => value.as_int().map(|value| value as f64),
    }
}

/// The values of an array, by its state: `(version, shape, dtype, whether it is in Fortran's order, bytes)`.
fn array(tree: &Tree, parts: &[Value]) -> Option<Vec<f64>> {
    let [_, shape, dtype, _, data] = items(tree, parts.last()?)? else { return None };
    let [count] = items(tree, shape)? else { return None };
    let count = usize::try_from(count.as_int()?).ok()?;
    let Node::Numpy(dtype) = tree.node(dtype)? else { return None };
    let code = dtype.first()?.as_text()?;
    let order = items(tree, dtype.last()?).and_then(|state| state.get(1)?.as_text());
    let bytes = match data {
        Value::Bytes(bytes) => &bytes[..],
        // Python 2 has no type of its own for bytes.
        Value::Text(text) => text.as_bytes(),
        _ => return None,
    };
    let size: usize = code.get(1..)?.parse().ok()?;
    if order == Some(">") || size == 0 || bytes.len() != count.checked_mul(size)? {
        return None;
    }
    let int = |bytes: &[u8], signed: bool| {
        let negative = signed && bytes[bytes.len() - 1] & 0x80 != 0;
        let mut all = [if negative { 0xff } else { 0 }; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        i64::from_le_bytes(all) as f64
    };
    let value = |bytes: &[u8]| match code {
        "f8" => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        "f4" => Some(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
        "i8" | "i4" | "i2" | "i1" => Some(int(bytes, true)),
        "u8" | "u4" | "u2" | "u1" => Some(int(bytes, false)),
        _ => None,
    };
    bytes.chunks_exact(size).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by Python 3 with NumPy; see the head of the script.
    const PICKLES: [&[u8]; 2] = [
        include_bytes!("../../../../tests/python/ground_truth_2.pkl"),
        include_bytes!("../../../../tests/python/ground_truth_4.pkl"),
    ];

    #[test]
    fn lists_and_arrays_of_both_protocols_are_read() {
        for bytes in PICKLES {
            let File { imlist, qimlist, gnd } = read(bytes).unwrap();
            assert_eq!((imlist.len(), &imlist[2][..]), (300, "image_2"));
            assert_eq!(qimlist, ["query_0", "query_1"]);
            let [first, second] = &gnd[..] else { panic!("{} entries", gnd.len()) };
            assert_eq!(first.bbx, Some([1.5, 2.0, 30.25, 40.0]));
            assert_eq!(
                (&first.easy[..], &first.hard[..], &first.junk[..]),
                (&[0, 299][..], &[][..], &[128][..])
            );
            assert_eq!(
                (second.bbx, &second.easy[..], &second.hard[..]),
                (None, &[1, 2][..], &[250][..])
            );
        }
    }

    #[test]
    fn damaged_bytes_and_other_pickles_are_refused() {
        for bytes in PICKLES {
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end]).is_err(), "{end} bytes");
            }
            for place in 0..bytes.len() {
                let mut damaged = bytes.to_vec();
                damaged[place] ^= 0x55;
                let _ = read(&damaged);
            }
        }
        let said = format!("{:#}", read(b"}q\0.").unwrap_err());
        assert_eq!(said, "it has no list `imlist`");
        let code = b"cos\nsystem\n(S'ls'\ntR.";
        assert!(format!("{:#}", read(code).unwrap_err()).contains("`os.system`"));
    }
}
