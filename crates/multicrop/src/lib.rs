//! Images from any source to deterministic multi-crop batches, Pillow-exact.
