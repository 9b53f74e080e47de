//! Compares small files with the pixels that Pillow 12.3 (libjpeg-turbo 3.1.4) reads from them, at
//! every scale. `crates/multicrop/tests/pillow/jpeg.py --golden` wrote the fixtures. If Python is
//! available, `crates/multicrop/tests/pillow_jpeg.rs` makes and compares more such files.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::PathBuf;

use jpeg::{Color, Decoder, Error, Image, Scale};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn decode(bytes: &[u8], scale: Scale) -> Result<Image, Error> {
    Decoder::new(bytes)?.decode(scale)
}

/// Red, green and blue of stored inks, as Pillow's `convert("RGB")`, which treats them as inverted.
fn without_ink(&[c, m, y, k]: &[u8; 4]) -> [u8; 3] {
    let part = |ink: u8| {
        let product = u32::from(255 - ink) * u32::from(k) + 128;
        k - (((product >> 8) + product) >> 8) as u8
    };
    [part(c), part(m), part(y)]
}

fn lines() -> Vec<Vec<String>> {
    let index = fs::read_to_string(folder().join("index.tsv")).unwrap();
    index.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn file(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.jpg"))).unwrap()
}

#[test]
fn pixels_are_those_of_pillow_at_every_scale() {
    let mut compared = 0;
    for line in lines() {
        let (name, scale) = (&line[1], &line[2]);
        let side = match scale.as_str() {
            "1" => Scale::Full,
            "2" => Scale::Half,
            "4" => Scale::Quarter,
            _ => Scale::Eighth,
        };
        let image = decode(&file(name), side);
        if line[3] == "refused" {
            assert!(image.is_err(), "{name}");
            continue;
        }
        let image = image.unwrap_or_else(|error| panic!("{name}: {error}"));
        let size: Vec<u32> = line[3..5].iter().map(|side| side.parse().unwrap()).collect();
        assert_eq!([image.width, image.height], size[..], "{name} at 1/{scale}");
        let pixels = match image.color {
            Color::Cmyk => image.pixels.as_chunks().0.iter().flat_map(without_ink).collect(),
            _ => image.pixels,
        };
        let wanted = fs::read(folder().join(format!("{name}.{scale}.raw"))).unwrap();
        assert!(pixels == wanted, "{name} at 1/{scale} has other pixels");
        compared += 1;
    }
    assert!(compared > 30, "only {compared} files");
}

/// A broken file gives an error or an image of the size in its header, never a panic.
#[test]
fn broken_files_never_panic() {
    let mut state = 15_u64;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let rounds = std::env::var("DINO_VMF_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let mut names: Vec<String> = lines().into_iter().map(|line| line[1].clone()).collect();
    names.dedup();
    for name in &names {
        let whole = file(name);
        for _ in 0..rounds {
            let mut bytes = whole.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                match random(5) {
                    0 => bytes[at] = random(256) as u8,
                    1 => bytes[at] ^= 1 << random(8),
                    2 => drop(bytes.drain(at..(at + 1 + random(9)).min(bytes.len()))),
                    3 => bytes.insert(at, 0xFF),
                    _ => bytes.truncate(at + 1),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            for scale in [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth] {
                let Ok(decoder) = Decoder::new(&bytes) else { break };
                if u64::from(decoder.width()) * u64::from(decoder.height()) > 1 << 22 {
                    break;
                }
                let size = [scale.scaled(decoder.width()), scale.scaled(decoder.height())];
                if let Ok(image) = decoder.decode(scale) {
                    assert_eq!([image.width, image.height], size);
                    let values = size[0] as usize * size[1] as usize * image.color.channels();
                    assert_eq!(image.pixels.len(), values);
                }
            }
        }
    }
}
