//! Errors of the `parquet` crate as errors of this one.

use std::io;
use std::path::Path;

use parquet::errors::ParquetError;

use super::encryption;
use crate::dataset::bytes::malformed;
use crate::error::Error;

/// The error for a file that `parquet` cannot read: an I/O error, an unsupported feature, or a
/// damaged file.
pub(super) fn unsupported_or_damaged(path: &Path) -> impl Fn(ParquetError) -> Error {
    move |error| {
        let error = match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(source) if source.raw_os_error().is_some() => {
                    return Error::Unreadable { path: path.into(), source: *source };
                }
                Ok(error) => ParquetError::External(error),
                Err(error) => ParquetError::External(error),
            },
            error => error,
        };
        let reason = match error {
            _ if encryption::is_encrypted(path) => {
                "is an encrypted parquet file, which is not read; write it without encryption"
                    .into()
            }
            ParquetError::NYI(what) => {
                format!("is a parquet file of a kind that is not yet supported ({what})")
            }
            error => format!("is a damaged parquet file ({error}); copy or write it again"),
        };
        malformed(path, reason)
    }
}
