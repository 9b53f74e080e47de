//! [`Values`]: the memory of a batch, which can be split into parts for the workers and joined
//! again.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytes::BytesMut;

use crate::augment::normalize::Element;

/// Alignment in bytes: a cache line, and the widest vector register.
const ALIGN: usize = 64;

/// Normalized values of crops; derefs to a slice.
///
/// The memory is aligned to 64 bytes. It can be split into owned parts, which any thread can write,
/// and joined again without a copy. So every crop is written once, to the memory that the model
/// reads.
pub struct Values<T = f32>(BytesMut, PhantomData<T>);

impl<T: Element> Values<T> {
    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let mut bytes = BytesMut::zeroed(len * size_of::<T>() + ALIGN);
        drop(bytes.split_to(bytes.as_ptr().align_offset(ALIGN)));
        bytes.truncate(len * size_of::<T>());
        Self(bytes, PhantomData)
    }

    /// Splits off and returns the first `len` values.
    ///
    /// # Panics
    /// If there are fewer.
    pub(super) fn split_to(&mut self, len: usize) -> Self {
        Self(self.0.split_to(len * size_of::<T>()), PhantomData)
    }

    /// Appends `next`, without a copy if it was split off at that place.
    pub(super) fn join(&mut self, next: Self) {
        self.0.unsplit(next.0);
    }
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self(BytesMut::new(), PhantomData)
    }
}

impl<T: Element> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // an empty buffer may have any alignment
        if self.0.is_empty() { &[] } else { bytemuck::cast_slice(&self.0) }
    }
}

impl<T: Element> DerefMut for Values<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        if self.0.is_empty() { &mut [] } else { bytemuck::cast_slice_mut(&mut self.0) }
    }
}

impl<T: Element> Clone for Values<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Element> PartialEq for Values<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Element> fmt::Debug for Values<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_place_without_a_copy() {
        for part in [1, 3, 64] {
            let mut values = Values::<f32>::zeros(4 * part);
            let start = values.as_ptr();
            assert!(start.addr().is_multiple_of(ALIGN));
            let mut parts: Vec<_> = (0..4).map(|_| values.split_to(part)).collect();
            for (i, part) in parts.iter_mut().enumerate() {
                part.fill(i as f32);
            }
            assert!(values.is_empty());
            let whole = parts.into_iter().reduce(|mut whole, part| {
                whole.join(part);
                whole
            });
            let whole = whole.unwrap();
            assert_eq!(whole.as_ptr(), start);
            assert!(whole.iter().enumerate().all(|(i, value)| *value == (i / part) as f32));
        }
    }

    #[test]
    fn a_buffer_may_be_empty() {
        assert!(Values::<f32>::zeros(0).is_empty() && Values::<f32>::default().clone().is_empty());
    }
}
