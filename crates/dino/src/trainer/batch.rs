//! A `CropBatch` borrows the crops of the images of one micro-batch.

/// Crops of some images, each `[crop, image, channels, size, size]`.
#[derive(Debug, Clone, Copy)]
pub struct CropBatch<'a> {
    /// Global crops, for teacher and student.
    pub globals: &'a [f32],
    /// Local crops, for the student only; may be empty.
    pub locals: &'a [f32],
    /// Which patches of the global crops are hidden from the student, `[crop, image, patches]`; empty
    /// for methods that do not mask.
    pub masks: &'a [bool],
    /// Number of images.
    pub images: usize,
}
