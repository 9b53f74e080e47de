//! Label propagation against all pairs of patches in f64, and label maps against Pillow; `golden/propagation.py` made
//! the values.

use probe::propagation::{Grid, Propagation, Settings, winners};
use probe::segmentation::Labels;
use safetensors::SafeTensors;

const GRID: Grid = Grid { rows: 3, columns: 36 };
const FRAMES: usize = 5;
const CHANNELS: usize = 3;
const PATCH: usize = 4;

/// Settings of the cases, with the tolerance of a mask: cosines are f32, and 1e-7 of a cosine is 1e-7 / T of a weight.
const CASES: [(Settings, f64); 3] = [
    (Settings { last_frames: 2, radius: Some(2), topk: 3, temperature: 0.1 }, 5e-6),
    (Settings { last_frames: 7, radius: None, topk: 5, temperature: 0.1 }, 5e-6),
    (Settings { last_frames: 0, radius: Some(1), topk: 4, temperature: 0.02 }, 2e-5),
];

fn file() -> SafeTensors<'static> {
    SafeTensors::deserialize(include_bytes!("../golden/propagation.safetensors")).unwrap()
}

fn values<const N: usize, T>(name: &str, read: fn([u8; N]) -> T) -> Vec<T> {
    let file = file();
    let bytes = file.tensor(name).unwrap().data();
    bytes.chunks_exact(N).map(|bytes| read(bytes.try_into().unwrap())).collect()
}

fn bytes(name: &str) -> Vec<u8> {
    values(name, |[byte]: [u8; 1]| byte)
}

/// Tokens of the frames, and the masks of the first one.
fn start() -> (Vec<Vec<f32>>, Vec<f32>) {
    let tokens = values("tokens", f32::from_le_bytes);
    let tokens: Vec<_> = tokens.chunks_exact(tokens.len() / FRAMES).map(<[f32]>::to_vec).collect();
    let mut masks = vec![0.0; GRID.rows * GRID.columns * CHANNELS];
    for (patch, channel) in bytes("first").into_iter().enumerate() {
        masks[patch * CHANNELS + channel as usize] = 1.0;
    }
    (tokens, masks)
}

/// The masks of all frames but the first.
fn propagated(settings: Settings) -> Vec<Vec<f32>> {
    let (tokens, masks) = start();
    let mut propagation = Propagation::new(settings, GRID, tokens[0].clone(), masks);
    tokens[1..].iter().map(|tokens| propagation.advance(tokens.clone())).collect()
}

#[test]
fn masks_are_those_of_all_pairs_of_patches() {
    for (case, (settings, tolerance)) in CASES.into_iter().enumerate() {
        let found = propagated(settings);
        let expected = values(&format!("{case}/masks"), f64::from_le_bytes);
        let errors = found.concat().into_iter().map(f64::from).zip(&expected);
        let error = errors.map(|(x, e)| (x - e).abs()).fold(0.0, f64::max);
        assert!(error < tolerance, "{settings:?}: error {error:e}");
        let pixels = winners(found.last().unwrap(), GRID, PATCH);
        let expected = bytes(&format!("{case}/winners"));
        let differing = pixels.iter().zip(&expected).filter(|(x, e)| x != e).count();
        assert_eq!((differing, pixels.len()), (0, expected.len()), "{settings:?}");
    }
}

#[test]
fn threads_change_nothing() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| CASES.map(|(settings, _)| propagated(settings)))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn label_maps_are_resized_as_by_pillow() {
    let labels = Labels { pixels: bytes("labels"), width: 83 };
    for (height, width) in [(13, 20), (71, 97), (57, 5)] {
        let found = labels.resized(height, width);
        assert_eq!(found.pixels, bytes(&format!("labels/{height}x{width}")), "{height} x {width}");
    }
}

/// Tokens that are axes have cosines of exactly 0 and 1.
#[test]
fn sources_as_near_as_the_last_one_count() {
    let grid = Grid { rows: 1, columns: 4 };
    let axes = |axes: [usize; 4]| -> Vec<f32> {
        axes.iter().flat_map(|axis| (0..3).map(move |i| f32::from(u8::from(i == *axis)))).collect()
    };
    let settings = Settings { last_frames: 1, radius: None, topk: 2, temperature: 0.5 };
    let masks = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    let mut propagation = Propagation::new(settings, grid, axes([0, 0, 0, 1]), masks);
    let found = propagation.advance(axes([0, 1, 2, 0]));
    // Three sources equal the first patch. One equals the second, and all others are its second nearest.
    let weight = (-2.0f32).exp();
    let of_second = [weight / (1.0 + 3.0 * weight), (1.0 + 2.0 * weight) / (1.0 + 3.0 * weight)];
    let expected = [[1.0 / 3.0, 2.0 / 3.0], of_second, [0.25, 0.75], [1.0 / 3.0, 2.0 / 3.0]];
    for (x, e) in found.iter().zip(expected.as_flattened()) {
        assert!((x - e).abs() < 1e-6, "{found:?} for {expected:?}");
    }
}

#[test]
fn an_object_everywhere_wins_everywhere() {
    let grid = Grid { rows: 2, columns: 2 };
    assert_eq!(winners(&[0.0, 1.0].repeat(4), grid, 2), [1; 16]);
    assert_eq!(winners(&[1.0, 0.0].repeat(4), grid, 2), [0; 16]);
}
