//! One column of features as a NumPy array.

use std::io::{self, Write};

use crate::column::Dtype;
use crate::npy;
use crate::spool::Rows;

pub(super) fn write(rows: &Rows, file: &mut impl Write) -> io::Result<()> {
    let column = &rows.columns()[0];
    let shape: Vec<usize> = [rows.images.len()].iter().chain(&column.shape).copied().collect();
    let dtype = match column.dtype() {
        Dtype::Float => "<f4",
        Dtype::Integer => "<i4",
    };
    file.write_all(&npy::header(dtype, &shape))?;
    let mut values = rows.open(0).map_err(io::Error::other)?;
    io::copy(&mut values, file).map(drop)
}
