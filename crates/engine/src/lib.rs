//! Tensors on a device and the fused operations of a vision transformer, each with its backward pass.
