//! Kernels compiled for the CPU: a shared library per module, built when it is first needed.

use std::collections::HashMap;
use std::env;
use std::ffi::{CStr, OsString, c_char};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::cuda::{Error, Launch, Module};

/// Headers beside the kernel's file: name and text.
const HEADERS: [(&str, &str); 2] =
    [("device.cuh", include_str!("../device.cuh")), ("simt.h", include_str!("simt.h"))];
/// Products and sums must not be contracted, so that results are the same on every host.
const OPTIONS: [&str; 5] = ["-std=c++17", "-O2", "-shared", "-fPIC", "-ffp-contract=off"];
/// Where libraries are kept between runs of the tests, by a hash of all that goes into them.
const FOLDER: &str = concat!(env!("OUT_DIR"), "/kernels");

/// `simt::Argument`.
#[repr(C)]
pub(super) struct RawArgument {
    kind: u32,
    bits: u64,
}

impl RawArgument {
    pub(super) fn pointer(at: *mut u8) -> Self {
        Self { kind: 0, bits: at.expose_provenance() as u64 }
    }

    pub(super) fn u32(value: u32) -> Self {
        Self { kind: 1, bits: value.into() }
    }

    pub(super) fn u64(value: u64) -> Self {
        Self { kind: 2, bits: value }
    }

    pub(super) fn f32(value: f32) -> Self {
        Self { kind: 3, bits: value.to_bits().into() }
    }
}

/// `simt::Request`.
#[repr(C)]
struct Request {
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    seed: u64,
    arguments: *const RawArgument,
    count: usize,
}

/// `simt_launch_<kernel>`: returns a message of static lifetime, or null.
type LaunchFunction = unsafe extern "C" fn(*const Request) -> *const c_char;

/// A module's kernels.
pub(super) struct Library(libloading::Library);

impl Library {
    /// The library of a module, from an earlier call if there was one.
    pub(super) fn of(module: &'static Module) -> Result<Arc<Self>, Error> {
        static LIBRARIES: LazyLock<Mutex<HashMap<&str, Arc<Library>>>> =
            LazyLock::new(Mutex::default);
        let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = libraries.get(module.source) {
            return Ok(library.clone());
        }
        let path = build(module)?;
        // SAFETY: the library is ours and runs no code when it is loaded.
        let library = unsafe { libloading::Library::new(&path) };
        let library = library.map_err(|error| {
            Error(format!("cannot load the kernels in `{}`: {error}", path.display()))
        })?;
        let library = Arc::new(Self(library));
        libraries.insert(module.source, library.clone());
        Ok(library)
    }

    /// Runs all threads of a launch to their ends.
    ///
    /// # Safety
    /// The kernel must access no memory but what its pointers allow.
    pub(super) unsafe fn launch(
        &self,
        kernel: &str,
        launch: Launch,
        seed: u64,
        arguments: &[RawArgument],
    ) -> Result<(), Error> {
        let request = Request {
            grid: launch.grid,
            block: launch.block,
            shared: launch.shared,
            seed,
            arguments: arguments.as_ptr(),
            count: arguments.len(),
        };
        let symbol = format!("simt_launch_{kernel}");
        // SAFETY: `SIMT_EXPORT` defines all functions of such names, with this signature.
        let function = unsafe { self.0.get::<LaunchFunction>(symbol.as_bytes()) };
        let function = function.map_err(|_| Error(format!("no kernel `{kernel}`")))?;
        // SAFETY: `request` and its arguments live during the call; number and kinds of the arguments
        // are checked by the callee; memory accesses are the caller's promise.
        let message = unsafe { function(&request) };
        if message.is_null() {
            return Ok(());
        }
        // SAFETY: the callee returns string literals.
        let message = unsafe { CStr::from_ptr(message) };
        Err(Error(format!("kernel `{kernel}`: {}", message.to_string_lossy())))
    }
}

/// Whether the compiler starts.
pub(super) fn has_compiler() -> bool {
    Command::new(compiler()).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn compiler() -> OsString {
    env::var_os("CXX").unwrap_or_else(|| "c++".into())
}

/// Compiles a module; returns the library's path.
fn build(module: &Module) -> Result<PathBuf, Error> {
    let exports: String =
        kernels(module.source).map(|kernel| format!("SIMT_EXPORT({kernel})\n")).collect();
    let name = module.name;
    let root = format!("#define SIMT_HOST\n#include \"simt.h\"\n#include \"{name}.cu\"\n{exports}");
    let mut hasher = DefaultHasher::new();
    (compiler(), OPTIONS, HEADERS, &root, module.source).hash(&mut hasher);
    let folder = Path::new(FOLDER).join(format!("{name}-{:016x}", hasher.finish()));
    let library = folder.join("kernels.so");
    if !library.is_file() {
        let failed = |error: io::Error| Error(format!("cannot compile `{name}.cu`: {error}"));
        fs::create_dir_all(FOLDER).map_err(failed)?;
        // Other processes may build the same: each works in a folder of its own, which is renamed.
        let own = folder.with_extension(std::process::id().to_string());
        fs::create_dir_all(&own).map_err(failed)?;
        for (file, text) in HEADERS {
            fs::write(own.join(file), text).map_err(failed)?;
        }
        fs::write(own.join(format!("{name}.cu")), module.source).map_err(failed)?;
        fs::write(own.join("launch.cpp"), root).map_err(failed)?;
        compile(name, &own)?;
        if fs::rename(&own, &folder).is_err() {
            fs::remove_dir_all(&own).map_err(failed)?; // another process was faster
        }
    }
    Ok(library)
}

/// Compiles `launch.cpp` to `kernels.so`.
fn compile(name: &str, folder: &Path) -> Result<(), Error> {
    let mut command = Command::new(compiler());
    command.current_dir(folder).args(OPTIONS).args(["-o", "kernels.so", "launch.cpp"]);
    let output = command.output().map_err(|error| {
        let compiler = compiler().display().to_string();
        Error(format!("cannot start `{compiler}`: {error}; set CXX to a C++ compiler"))
    })?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr);
        return Err(Error(format!("`{name}.cu` does not compile for the host:\n{log}")));
    }
    Ok(())
}

/// The names of all `__global__` functions.
fn kernels(source: &str) -> impl Iterator<Item = &str> {
    source.split("__global__ void ").skip(1).filter_map(|rest| rest.split('(').next())
}
