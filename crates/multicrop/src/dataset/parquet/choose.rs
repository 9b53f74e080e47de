//! Chooses the column of a parquet file that holds the images.

use std::cmp::Reverse;

use parquet::basic::Type;
use parquet::errors::ParquetError;

use super::error::unsupported_or_damaged;
use super::features::Features;
use super::rows::Table;
use super::schema::{ImageColumn, image_columns, is_text, quoted};
use super::sniff::{self, Content};
use crate::dataset::bytes::malformed;
use crate::error::Error;

/// Usual names of image columns, most likely first.
const IMAGES: [&str; 16] = [
    "image",
    "img",
    "jpg",
    "png",
    "webp",
    "image_bytes",
    "bytes",
    "photo",
    "jpeg",
    "picture",
    "file_name",
    "image_path",
    "img_path",
    "path",
    "file",
    "filename",
];

/// The column that holds the images, and further columns of images.
pub(super) struct Choice {
    pub(super) image: ImageColumn,
    /// True if rows hold the bytes of images, not just paths.
    pub(super) has_bytes: bool,
    /// Names of further columns of images.
    pub(super) others: Vec<String>,
}

/// Chooses the column that the user named, or else the one whose first values are images.
///
/// # Errors
/// If there is no such column, or it cannot be determined.
pub(super) fn choose(table: &Table, named: Option<&str>) -> Result<Choice, Error> {
    let columns = image_columns(table.metadata.file_metadata().schema_descr());
    match named {
        Some(name) => named_column(table, columns, name),
        None => Finder::new(table, columns)?.find(),
    }
}

/// The column `name` of a file; the name of one of its fields, such as `image.bytes`, also works.
fn named_column(table: &Table, columns: Vec<ImageColumn>, name: &str) -> Result<Choice, Error> {
    let whole = name.strip_suffix(".bytes").or_else(|| name.strip_suffix(".path"));
    let is_it = |column: &ImageColumn| {
        column.name == name || (column.is_struct && Some(column.name.as_str()) == whole)
    };
    if let Some(image) = columns.iter().find(|column| is_it(column)).cloned() {
        let content = sniff::content(table, &image).map_err(unsupported_or_damaged(&table.path))?;
        let has_bytes = matches!(content, Content::Images | Content::Other);
        return Ok(Choice { image, has_bytes, others: Vec::new() });
    }
    let schema = table.metadata.file_metadata().schema_descr();
    let exists = schema.columns().iter().any(|column| {
        let path = column.path().string();
        path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
    });
    let what = if exists {
        format!("has a column `{name}`, but not with one image in each row")
    } else {
        format!("has no column `{name}`")
    };
    let could = quoted(columns.iter().map(|column| column.name.as_str()));
    let reason =
        format!("{what}; set `data.image_column` to a column that could hold images: {could}");
    Err(malformed(&table.path, reason))
}

/// The columns of a file, with the contents of their first values.
struct Finder<'a> {
    table: &'a Table,
    features: Features,
    columns: Vec<(ImageColumn, Content)>,
}

impl<'a> Finder<'a> {
    fn new(table: &'a Table, columns: Vec<ImageColumn>) -> Result<Self, Error> {
        let features = Features::read(table.metadata.file_metadata());
        let (binary, text): (Vec<_>, Vec<_>) =
            columns.into_iter().partition(|column| column.bytes.is_some() || column.is_struct);
        let mut finder = Self { table, features, columns: finder_columns(table, binary)? };
        // text is checked only if no binary column contains images
        if !finder.columns.iter().any(|(_, content)| *content <= Content::Paths) {
            finder.columns.extend(finder_columns(table, text)?);
        }
        Ok(finder)
    }

    /// Sort key: the most likely column has the smallest.
    fn rank(&self, column: &ImageColumn) -> (bool, usize, bool) {
        let known = IMAGES.iter().position(|&known| column.name.eq_ignore_ascii_case(known));
        let feature = self.features.is(&column.name, "Image");
        (!feature, known.unwrap_or(usize::MAX), !column.is_struct)
    }

    fn find(&self) -> Result<Choice, Error> {
        let mut found: Vec<_> = self.columns.iter().filter(|(_, c)| *c <= Content::Paths).collect();
        // stable, so equal columns keep the order of the schema
        found.sort_by_key(|(column, content)| (content.clone(), self.rank(column)));
        let Some((first, content)) = found.first() else { return self.without_evidence() };
        let same_rank = found.get(1).filter(|(other, _)| self.rank(other) == self.rank(first));
        if let (Some((other, _)), Content::Paths, true) =
            (same_rank, content, first.bytes.is_none())
        {
            let reason = format!(
                "has paths of images in the columns `{}` and `{}`; choose one with \
                 `data.image_column`",
                first.name, other.name
            );
            return Err(malformed(&self.table.path, reason));
        }
        let others = found[1..].iter().map(|(column, _)| column.name.clone()).collect();
        Ok(Choice { image: first.clone(), has_bytes: *content == Content::Images, others })
    }

    /// Chooses a column that has no values yet, or values in an unknown image format.
    fn without_evidence(&self) -> Result<Choice, Error> {
        let is_known = |column: &ImageColumn| self.rank(column) < (true, usize::MAX, false);
        let fits = |(column, content): &&(ImageColumn, Content)| match content {
            Content::Nothing => column.bytes.is_some(),
            Content::Other => column.bytes.is_some() && is_known(column),
            _ => false,
        };
        let key = |(column, content): &&(ImageColumn, Content)| {
            (Reverse(is_known(column)), content.clone(), self.rank(column))
        };
        let hopeless = self.columns.iter().any(|(column, content)| {
            matches!(content, Content::Urls(_) | Content::NoFiles(_)) && column.is_struct
        });
        match self.columns.iter().filter(fits).min_by_key(key) {
            Some((image, content)) if !hopeless => {
                let has_bytes = *content == Content::Other;
                Ok(Choice { image: image.clone(), has_bytes, others: Vec::new() })
            }
            _ => Err(self.no_images()),
        }
    }

    /// The error that says what was found instead of images.
    fn no_images(&self) -> Error {
        let likely = |column: &ImageColumn| {
            column.is_struct || self.rank(column) < (true, usize::MAX, false)
        };
        let likely = self.columns.iter().filter(|(column, _)| likely(column));
        let mut likely: Vec<_> = likely.collect();
        likely.sort_by_key(|(column, _)| self.rank(column));
        let reason = likely.iter().find_map(|(column, content)| misfit(column, content));
        let reason = reason.or_else(|| self.base64()).or_else(|| self.lists());
        malformed(&self.table.path, reason.unwrap_or_else(|| self.no_column()))
    }

    fn base64(&self) -> Option<String> {
        let mut columns = self.columns.iter();
        columns.find_map(
            |(column, content)| {
                if *content == Content::Base64 { misfit(column, content) } else { None }
            },
        )
    }

    /// The reason if images may only be in lists.
    fn lists(&self) -> Option<String> {
        let schema = self.table.metadata.file_metadata().schema_descr();
        let mut columns = schema.columns().iter().filter(|column| column.max_rep_level() > 0);
        columns.find_map(|column| {
            let name = column.path().parts().first()?;
            let known = IMAGES.iter().chain(&["images"]).any(|known| name.eq_ignore_ascii_case(known));
            if !known {
                return None;
            }
            let binary = column.physical_type() == Type::BYTE_ARRAY && !is_text(column);
            let what = if binary { "several images" } else { "a list of values" };
            Some(format!(
                "has {what} in each row of the column `{name}`, which is not read; write one encoded \
                 image in each row, of type binary or struct<bytes: binary, path: string>"
            ))
        })
    }

    fn no_column(&self) -> String {
        let schema = self.table.metadata.file_metadata().schema_descr();
        let names: Vec<_> = schema.columns().iter().map(|column| column.path().string()).collect();
        let binary = self.columns.iter().filter(|(column, _)| column.bytes.is_some());
        let binary: Vec<_> = binary.map(|(column, _)| column.name.as_str()).collect();
        let but = if binary.is_empty() {
            String::new()
        } else {
            let names = quoted(binary.into_iter());
            format!(
                "; the first values of {names} are not images, set `data.image_column` to read one \
                 anyway"
            )
        };
        format!(
            "has no image column (found {}{but}); a parquet source needs a column of encoded images, \
             of type binary or struct<bytes: binary, path: string>",
            quoted(names.iter().map(String::as_str))
        )
    }
}

fn finder_columns(
    table: &Table,
    columns: Vec<ImageColumn>,
) -> Result<Vec<(ImageColumn, Content)>, Error> {
    let look = |column: ImageColumn| {
        let content = sniff::content(table, &column)?;
        Ok::<_, ParquetError>((column, content))
    };
    columns
        .into_iter()
        .map(look)
        .collect::<Result<_, _>>()
        .map_err(unsupported_or_damaged(&table.path))
}

/// The reason for a column that holds something other than images, with what to do about it.
fn misfit(column: &ImageColumn, content: &Content) -> Option<String> {
    let name = &column.name;
    match content {
        Content::Urls(example) => Some(format!(
            "has URLs of images in the column `{name}` (`{example}`), and nothing is downloaded; \
             download the images and name their paths, or store their bytes"
        )),
        Content::NoFiles(example) => Some(format!(
            "has paths in the column `{name}`, but `{example}` is not an image file; paths are \
             relative to the folder of the parquet file"
        )),
        Content::Base64 => Some(format!(
            "has images as base64 text in the column `{name}`, which is not read; decode them to \
             a column of type binary"
        )),
        _ => None,
    }
}
