//! The masked CRC-32C (Castagnoli) checksum of TFRecord files.

/// The checksum of `bytes` in a TFRecord.
///
/// ```text
/// masked = rotate_right(crc32c(bytes), 15) + 0xa282ead8   (mod 2³²)
/// ```
///
/// Source: TensorFlow, `tfrecord` format.
pub(super) fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with the reflected polynomial 0x82f63b78. Computed bit by bit: most records have a few
/// hundred bytes, so a table would not pay.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
