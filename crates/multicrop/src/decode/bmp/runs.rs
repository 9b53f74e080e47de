//! The decoder of run-length encoded bitmaps with a palette.

use super::cut;
use crate::error::SampleError;

/// The palette index of each pixel, in stored order. As in Pillow, a run ends with its row, skipped
/// pixels have index 0, and missing pixels at the end are an error.
pub(super) fn read(
    mut data: &[u8],
    width: usize,
    height: usize,
    half_bytes: bool,
) -> Result<Vec<u8>, SampleError> {
    let len = width * height;
    let mut indices = Vec::new();
    // the current column; it exceeds the width if codes are too long
    let mut x = 0;
    while indices.len() < len {
        let &[count, second, ref rest @ ..] = data else { return Err(cut()) };
        data = rest;
        match (count, second) {
            (0, 0) => {
                indices.resize(indices.len().next_multiple_of(width), 0);
                x = 0;
            }
            (0, 1) => return Err(cut()),
            (0, 2) => {
                let &[right, up, ref rest @ ..] = data else { return Err(cut()) };
                data = rest;
                let skipped = usize::from(right) + usize::from(up) * width;
                indices.resize((indices.len() + skipped).min(len), 0);
                x = indices.len() % width;
            }
            (0, count) => {
                let count = usize::from(count);
                let stored = if half_bytes { count.div_ceil(2) } else { count };
                let (run, _) = data.split_at_checked(stored).ok_or_else(cut)?;
                // padded to two bytes
                data = &data[stored.next_multiple_of(2).min(data.len())..];
                if half_bytes {
                    indices.extend(run.iter().flat_map(|byte| halves(*byte)).take(count));
                } else {
                    indices.extend(run);
                }
                x += count;
            }
            (count, byte) => {
                let count = usize::from(count).min(width.saturating_sub(x));
                let pair = if half_bytes { halves(byte) } else { [byte; 2] };
                indices.extend(pair.into_iter().cycle().take(count));
                x += count;
            }
        }
    }
    indices.truncate(len);
    Ok(indices)
}

fn halves(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_jumps_and_stored_pixels() {
        let data = [2, 7, 0, 0, 0, 2, 1, 0, 1, 9, 1, 8, 0, 3, 4, 5, 6, 0];
        assert_eq!(read(&data, 3, 3, false).unwrap(), [7, 7, 0, 0, 9, 8, 4, 5, 6]);
        let data = [3, 0x12, 0, 3, 0x45, 0x60];
        assert_eq!(read(&data, 3, 2, true).unwrap(), [1, 2, 1, 4, 5, 6]);
    }

    #[test]
    fn missing_pixels_are_an_error() {
        assert!(read(&[2, 7, 0, 1], 3, 1, false).is_err());
        assert!(read(&[0, 9, 1], 3, 1, false).is_err());
        assert!(read(&[], 3, 1, false).is_err());
    }
}
