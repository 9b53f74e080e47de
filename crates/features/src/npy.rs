//! NumPy's format, version 1.0: a text header, padded to a multiple of 64 bytes, then the values.

/// A file of float32 values in row-major order.
pub fn array(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let mut file = header("<f4", shape);
    file.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    file
}

/// What stands before the values, which are in row-major order. `dtype` is NumPy's name of their type.
pub(crate) fn header(dtype: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size}, ")).collect();
    let shape = sizes.concat();
    let mut text = format!(
        "{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({}), }}",
        shape.trim_end()
    );
    // Magic, version and length take ten bytes, the line feed one.
    let padding = (64 - (10 + text.len() + 1) % 64) % 64;
    text.push_str(&" ".repeat(padding));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}
