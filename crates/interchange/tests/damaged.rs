//! Two hundred damaged and hostile files: each gives an error of one sentence that names it, or is read as if
//! it were whole; none ends the program or makes it allocate much.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use interchange::{Archive, Error, dialect};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Largest single allocation that a damaged file of some 100 kB may cause.
const LARGEST: usize = 16 << 20;

static LARGEST_SEEN: AtomicUsize = AtomicUsize::new(0);

struct Watching;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST_SEEN.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST_SEEN.fetch_max(size, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static WATCHING: Watching = Watching;

fn golden(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(goldens::folder!()).join("checkpoints").join(name)).unwrap()
}

/// Reads all tensors of a file, and the network if there is one.
fn read(name: &str, bytes: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let archive = Archive::from_bytes(name, bytes)?;
    let checkpoint = dialect::read(&archive, &dialect::Options::default());
    if let Ok(checkpoint) = &checkpoint {
        checkpoint.require_whole(&archive, &[])?;
    }
    let all = archive.tensors().iter();
    let all = all.map(|tensor| Ok((tensor.name.clone(), archive.read(tensor)?)));
    all.collect()
}

/// The error, which must name the file and be no wall of text.
fn must_fail(name: &str, bytes: Vec<u8>) -> Error {
    let error = read(name, bytes).expect_err(name);
    let text = error.to_string();
    assert!(text.contains(name), "{text}");
    assert!(text.len() < 1000 && text.lines().count() == 1, "{text}");
    error
}

const FILES: [&str; 5] = [
    "dino.pth",
    "dino_legacy.pth",
    "ibot.pth",
    "teacher_bf16.pth",
    "backbone_only.expected.safetensors",
];

#[goldens::test(checkpoints)]
fn files_cut_off_anywhere_are_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(18);
    for i in 0..60 {
        let name = FILES[i % FILES.len()];
        let mut bytes = golden(name);
        let end = if i < 5 { bytes.len() - 1 } else { rng.random_range(0..bytes.len()) };
        bytes.truncate(end);
        must_fail(name, bytes);
    }
    assert!(LARGEST_SEEN.load(Ordering::Relaxed) < LARGEST);
}

/// Zip archives have checksums, so a flipped bit is found or lies where nothing is read.
#[goldens::test(checkpoints)]
fn flipped_bits_are_found_or_change_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let mut found = 0;
    for i in 0..70 {
        let name = FILES[i % FILES.len()];
        let whole = golden(name);
        let mut bytes = whole.clone();
        for _ in 0..rng.random_range(1..4) {
            let (byte, bit) = (rng.random_range(0..bytes.len()), rng.random_range(0..8));
            bytes[byte] ^= 1 << bit;
        }
        let is_zip = whole.starts_with(b"PK");
        match read(name, bytes) {
            Err(error) => {
                assert!(error.to_string().contains(name), "{error}");
                found += 1;
            }
            Ok(tensors) if is_zip => assert!(tensors == read(name, whole).unwrap(), "{name}"),
            Ok(tensors) => assert_eq!(tensors.len(), read(name, whole).unwrap().len()),
        }
    }
    assert!(found > 35, "only {found} of 70 were found");
    assert!(LARGEST_SEEN.load(Ordering::Relaxed) < LARGEST);
}

/// Replaces all occurrences of a text by another of the same length.
fn replace(bytes: &mut [u8], from: &str, to: &str) -> usize {
    assert_eq!(from.len(), to.len());
    let mut count = 0;
    for start in 0..bytes.len() - from.len() {
        if bytes[start..].starts_with(from.as_bytes()) {
            bytes[start..][..to.len()].copy_from_slice(to.as_bytes());
            count += 1;
        }
    }
    count
}

#[goldens::test(checkpoints)]
fn renamed_tensors_are_listed() {
    let names = [
        "cls_token",
        "pos_embed",
        "patch_embed.proj.bias",
        "norm1.weight",
        "norm1.bias",
        "attn.qkv.weight",
        "attn.qkv.bias",
        "attn.proj.weight",
        "attn.proj.bias",
        "norm2.weight",
        "norm2.bias",
        "mlp.fc1.weight",
        "mlp.fc1.bias",
        "mlp.fc2.weight",
        "mlp.fc2.bias",
    ];
    for name in names {
        for file in ["dino_legacy.pth", "backbone_only.expected.safetensors"] {
            let mut bytes = golden(file);
            // the header of safetensors writes names as they are, and so does a pickle
            let renamed = format!("{}X", &name[..name.len() - 1]);
            assert!(replace(&mut bytes, name, &renamed) > 0, "{file}: {name}");
            let error = must_fail(file, bytes);
            let Error::Differs { differences, .. } = &error else { panic!("{file}: {error}") };
            let ends = |names: &[String], end: &str| names.iter().any(|name| name.ends_with(end));
            assert!(ends(&differences.missing, name), "{error}");
            assert!(ends(&differences.unexpected, &renamed), "{error}");
        }
    }
}

/// A legacy file with this pickle as its content.
fn legacy(content: &[u8]) -> Vec<u8> {
    let mut bytes =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}."
            .to_vec();
    bytes.extend_from_slice(b"\x80\x02");
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(b".\x80\x02].");
    bytes
}

#[test]
fn code_in_pickles_is_refused_by_name() {
    let callables = [
        "os system",
        "posix system",
        "nt system",
        "subprocess Popen",
        "subprocess check_output",
        "builtins eval",
        "builtins exec",
        "__builtin__ eval",
        "builtins getattr",
        "builtins __import__",
        "builtins open",
        "builtins compile",
        "importlib import_module",
        "runpy run_path",
        "torch load",
        "torch.hub load",
        "torch._utils _rebuild_sparse_tensor",
        "torch.serialization load",
        "numpy load",
        "numpy.testing._private.utils runstring",
        "functools partial",
        "operator attrgetter",
        "pickle loads",
        "shutil rmtree",
        "webbrowser open",
    ];
    for name in callables {
        let (module, function) = name.split_once(' ').unwrap();
        let call = format!("c{module}\n{function}\nX\x04\0\0\0true\u{85}").into_bytes();
        let by_stack = [
            format!("X{}", (module.len() as u8) as char).into_bytes(),
            vec![0; 3],
            module.into(),
            format!("X{}", (function.len() as u8) as char).into_bytes(),
            vec![0; 3],
            function.into(),
            b"\x93)R".to_vec(),
        ]
        .concat();
        for content in [[&call[..call.len() - 2], b"\x85R"].concat(), by_stack] {
            let error = must_fail("hostile.pth", legacy(&content));
            let Error::Code { name: found, .. } = &error else { panic!("{error}") };
            assert_eq!(*found, format!("{module}.{function}"));
        }
    }
}

/// Pickles that would take much memory, much time or a deep stack.
#[test]
fn bombs_are_refused() {
    let laughs = {
        // each list holds the one before ten times
        let mut pickle = b"]q\x00".to_vec();
        for i in 0..40u8 {
            pickle.extend_from_slice(&[b']', b'q', i + 1, b'(']);
            pickle.extend((0..10).flat_map(|_| [b'h', i]));
            pickle.push(b'e');
        }
        pickle
    };
    let copies = {
        // list(list(…)) of many items, again and again
        let mut pickle = b"]q\x00(".to_vec();
        pickle.extend([b'N'; 100_000]);
        pickle.extend_from_slice(b"e0");
        for _ in 0..10_000 {
            pickle.extend_from_slice(b"cbuiltins\nlist\nh\x00\x85R0");
        }
        pickle
    };
    let bombs: [(&str, Vec<u8>); 12] = [
        ("billion laughs", laughs),
        ("copies", copies),
        ("a list inside itself", b"]q\x00h\x00a".to_vec()),
        ("nested lists", [vec![b']'; 100_000], vec![b'a'; 99_999]].concat()),
        ("long text", b"X\xff\xff\xff\x7f".to_vec()),
        ("longer text", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec()),
        ("long bytes", b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
        ("a long integer", b"\x8b\xff\xff\xff\x7f".to_vec()),
        ("an empty stack", b"0".to_vec()),
        ("a missing mark", b"Ne".to_vec()),
        ("nothing stored", b"h\x07".to_vec()),
        ("many values", [b"(".to_vec(), vec![b'N'; 5_000_000], b"l".to_vec()].concat()),
    ];
    for (what, pickle) in bombs {
        let error = Archive::from_bytes("bomb.pth", legacy(&pickle));
        let error = error.map(|archive| archive.tensors().len()).expect_err(what);
        assert!(error.to_string().contains("bomb.pth"), "{what}: {error}");
    }
    assert!(LARGEST_SEEN.load(Ordering::Relaxed) < 256 << 20);
}

/// Tensors whose description does not fit the bytes that are there.
#[test]
fn views_outside_of_their_storage_are_refused() {
    let tensor = |arguments: &str, len: u8| {
        // _rebuild_tensor_v2((“storage”, FloatStorage, “0”, “cpu”, len), …)
        let mut pickle =
            b"}X\x01\0\0\0tctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage".to_vec();
        pickle.extend_from_slice(b"ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK");
        pickle.extend_from_slice(&[len, b't', b'Q']);
        pickle.extend_from_slice(arguments.as_bytes());
        pickle.extend_from_slice(b"\x89ccollections\nOrderedDict\n)RtRs.");
        let mut bytes = legacy(&[]);
        bytes.truncate(bytes.len() - 5);
        bytes.extend_from_slice(&pickle);
        bytes.extend_from_slice(b"\x80\x02]X\x01\0\0\x000a.");
        bytes.extend_from_slice(&4u64.to_le_bytes());
        bytes.extend_from_slice(&[0; 16]);
        bytes
    };
    let (k3, k4) = ("K\x03", "K\x04");
    let whole = format!("K\0({k4}t(K\x01t");
    assert_eq!(Archive::from_bytes("t.pth", tensor(&whole, 4)).unwrap().tensors()[0].shape, [4]);
    let bad = [
        (format!("K\x01({k4}t(K\x01t"), 4),   // one value too far
        (format!("K\0({k4}t(K\x02t"), 4),     // too long strides
        (format!("K\0({k4}{k4}t(K\x01t"), 4), // two sizes, one stride
        ("K\0(K\x05t(K\x01t".to_owned(), 4),  // too many values
        (format!("J\x7f\x7f\x7f\x7f({k3}t(K\x01t"), 4), // far away
        ("K\0(J\x7f\x7f\x7f\x7ft(K\0t".to_owned(), 4), // one value repeated two billion times
        (format!("K\0({k4}t(K\x01t"), 5),     // a storage of another length
        (format!("NK\0({k4}t"), 4),           // arguments in another order
    ];
    for (arguments, len) in bad {
        must_fail("t.pth", tensor(&arguments, len));
    }
}
