//! NumPy's format, version 1.0: a text header, padded to a multiple of 64 bytes, then the values.

use std::io::{self, Write};

use crate::column::Dtype;
use crate::spool::Rows;

pub(super) fn write(rows: &Rows, file: &mut impl Write) -> io::Result<()> {
    let column = &rows.columns()[0];
    let sizes: Vec<String> =
        [rows.images.len()].iter().chain(&column.shape).map(|size| format!("{size}, ")).collect();
    let shape = sizes.concat();
    let dtype = match column.dtype() {
        Dtype::Float => "<f4",
        Dtype::Integer => "<i4",
    };
    let mut header = format!(
        "{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({}), }}",
        shape.trim_end()
    );
    // Magic, version and length take ten bytes, the line feed one.
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut values = rows.open(0).map_err(io::Error::other)?;
    io::copy(&mut values, file).map(drop)
}
