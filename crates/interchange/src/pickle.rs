//! Reads and writes pickles of tensors and plain data. Executes nothing.
//!
//! A pickle is a program for a machine with a stack and a memory. Python's machine can import any module and
//! call any function, so a pickle from a stranger can do anything. This machine knows the classes of
//! [`Global`] alone, makes plain data of them itself, and refuses a pickle that names anything else.
//!
//! Limits: 64 MiB of pickle, 4,194,304 values, 16 dimensions. No length in the file is trusted: nothing is
//! allocated for bytes that are not there.

mod calls;
mod globals;
mod input;
mod machine;
mod value;
mod write;

pub use globals::Global;
pub use value::{Node, Storage, Tree, Value, View};
pub use write::{Object, write};

/// Longest pickle that is read, in bytes. That of a checkpoint is small, because values of tensors lie
/// outside of it.
pub const MAX_BYTES: usize = 64 << 20;

/// Most values that a pickle may make.
pub const MAX_VALUES: usize = 1 << 22;

/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 16;

/// Why a pickle is not read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The byte of the pickle.
    pub offset: usize,
    /// What is wrong.
    pub kind: Kind,
}

/// What is wrong with a pickle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The bytes are no pickle, or not those that were written.
    Damaged(String),
    /// It names a class or function that is not allowed.
    Code(String),
    /// It holds what this reader does not know.
    Unsupported(String),
}

/// The result of reading a pickle.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    fn damaged(offset: usize, reason: impl Into<String>) -> Self {
        Self { offset, kind: Kind::Damaged(reason.into()) }
    }

    fn unsupported(offset: usize, what: impl Into<String>) -> Self {
        Self { offset, kind: Kind::Unsupported(what.into()) }
    }
}

/// Reads one pickle from the start of `bytes`. Returns its content and its length in bytes.
///
/// # Errors
/// See [`Kind`].
pub fn read(bytes: &[u8]) -> Result<(Tree, usize)> {
    machine::Machine::new(bytes).run()
}
