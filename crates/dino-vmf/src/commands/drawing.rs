//! Pictures that several commands draw: sheets with captions, and maps of patches.

pub(crate) mod canvas;
pub(crate) mod file;
pub(crate) mod grid;
pub(crate) mod maps;
