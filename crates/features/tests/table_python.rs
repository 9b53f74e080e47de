//! Files of features that NumPy and pyarrow write are read with the values and names that they hold, and files that
//! are no features are refused in a sentence.
//!
//! Ignored if `$DINO_VMF_PYTHON`, or else `python3`, lacks NumPy or pyarrow.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::process::{Command, ExitCode};

use features::{Error, Table};
use libtest_mimic::{Arguments, Failed, Trial};

/// 1000 rows of five values, each a small multiple of 1/8, and their names.
const SCRIPT: &str = r#"
import sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
folder = sys.argv[1] + "/"
x = (np.arange(5000).reshape(1000, 5) % 97 / 8).astype(np.float32)
names = [f"image {i}" for i in range(1000)]
lists = pa.array(list(x), type=pa.list_(pa.float32()))
fixed = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 5)
pq.write_table(pa.table({"name": names, "emb": lists}), folder + "lists.parquet", row_group_size=300)
pq.write_table(pa.table({"emb": fixed, "name": names}), folder + "fixed.parquet", compression="zstd")
pq.write_table(pa.table({"a": lists, "cls": lists}), folder + "cls.parquet")
np.save(folder + "array.npy", x)
with open(folder + "array.csv", "w") as table:
    table.write("label,name\n" + "".join(f"0,{name}\n" for name in names))
doubles = pa.array([list(row) for row in x], type=pa.list_(pa.float64()))
ragged = pa.array([list(row) for row in x[1:]] + [[1.0]], type=pa.list_(pa.float32()))
missing = pa.array([list(row) for row in x[1:]] + [None], type=pa.list_(pa.float32()))
pq.write_table(pa.table({"emb": doubles}), folder + "doubles.parquet")
pq.write_table(pa.table({"emb": ragged}), folder + "ragged.parquet")
pq.write_table(pa.table({"emb": missing}), folder + "missing.parquet")
pq.write_table(pa.table({"a": lists, "b": lists}), folder + "two.parquet")
np.save(folder + "doubles.npy", x.astype(float))
np.save(folder + "fortran.npy", np.asfortranarray(x))
np.save(folder + "flat.npy", x[0])
data = open(folder + "array.npy", "rb").read()
open(folder + "cut.npy", "wb").write(data[:10000])
open(folder + "header.npy", "wb").write(data[:40])
"#;

fn python() -> String {
    std::env::var("DINO_VMF_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn has_packages() -> bool {
    let check = ["-c", "import numpy, pyarrow"];
    Command::new(python()).args(check).output().is_ok_and(|output| output.status.success())
}

/// The column and its values.
fn read(path: &Path, column: Option<&str>) -> Result<(Table, Vec<f32>), Error> {
    let table = Table::open(path, column)?;
    let mut values = Vec::new();
    table.for_each_block(&mut |rows| {
        values.extend_from_slice(rows);
        Ok(())
    })?;
    Ok((table, values))
}

fn files_of_python() -> Result<(), Failed> {
    let folder = tempfile::tempdir().unwrap();
    let written = Command::new(python()).args(["-c", SCRIPT]).arg(folder.path()).output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let expected: Vec<f32> = (0..5000u16).map(|i| f32::from(i % 97) / 8.0).collect();
    for (file, column, named) in [
        ("lists.parquet", "emb", true),
        ("fixed.parquet", "emb", true),
        ("cls.parquet", "cls", false),
        ("array.npy", "the array", true),
    ] {
        let (table, values) = read(&folder.path().join(file), None)?;
        assert_eq!((table.rows(), table.width(), table.column()), (1000, 5, column), "{file}");
        assert!(values == expected, "{file}");
        let names = table.names()?;
        assert_eq!(names.is_some(), named, "{file}");
        assert!(names.is_none_or(|names| names[999] == "image 999"), "{file}");
    }
    for (file, reason) in [
        ("doubles.parquet", "no column of vectors"),
        ("ragged.parquet", "different lengths"),
        ("missing.parquet", "values that are missing"),
        ("two.parquet", "choose by --features: `a`, `b`"),
        ("doubles.npy", "`<f8`, but must be `<f4`"),
        ("fortran.npy", "ascontiguousarray"),
        ("flat.npy", "must be (images, d)"),
        ("cut.npy", "cannot read"),
        ("header.npy", "cut off"),
        ("nothing.npy", "cannot read"),
        ("array.csv", "must end in .npy"),
    ] {
        let error = read(&folder.path().join(file), None).expect_err(file).to_string();
        assert!(error.contains(reason), "{file}: {error}");
    }
    let error =
        read(&folder.path().join("lists.parquet"), Some("cls")).expect_err("no such column");
    assert!(error.to_string().contains("no vectors `cls`, but `emb`"), "{error}");
    Ok(())
}

fn main() -> ExitCode {
    let test = Trial::test("files_of_numpy_and_pyarrow_are_read", files_of_python);
    let tests = vec![test.with_ignored_flag(!has_packages())];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}
