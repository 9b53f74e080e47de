//! Recognizes containers by their first 512 bytes.

/// True for a parquet file, plain or encrypted; the reader refuses an encrypted one.
pub(super) fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PAR1") || bytes.starts_with(b"PARE")
}

/// True for text in any encoding that extends ASCII.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    !bytes.is_empty() && !bytes.iter().any(|byte| control(byte) || *byte == 0x7F)
}

/// True for a tar header: it has the POSIX or GNU magic, or the checksum of the oldest form.
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<512>() else { return false };
    if header[257..].starts_with(b"ustar") {
        return true;
    }
    // the checksum field itself counts as spaces
    let sum: u32 = (0..512)
        .map(|i| if (148..156).contains(&i) { u32::from(b' ') } else { u32::from(header[i]) })
        .sum();
    let digits = header[148..156].iter().filter(|byte| (b'0'..=b'7').contains(byte));
    let stored = digits.fold(0_u32, |value, digit| value << 3 | u32::from(digit - b'0'));
    header[0] != 0 && stored == sum
}

/// True for blocks of zeros, which is what an archive without members consists of.
pub(super) fn is_empty_tar(bytes: &[u8]) -> bool {
    bytes.len() == 512 && bytes.iter().all(|&byte| byte == 0)
}
