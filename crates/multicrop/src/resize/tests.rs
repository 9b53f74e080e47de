use super::*;
use proptest::prelude::*;

/// Noise, the worst case for rounding.
fn noise(width: u32, height: u32, channels: usize) -> Image8 {
    let bytes = (width * height) as usize * channels;
    let pixels = (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    Image8::with_channels(width, height, channels, pixels.collect()).unwrap()
}

/// The formula of the module documentation, pixel by pixel, for a box that was cut out before.
fn plain(image: &Image8, (width, height): (u32, u32)) -> Image8 {
    let (w, h, channels) = (image.width(), image.height(), image.channels());
    let at = |x: u32, y: u32, c: usize| image.row(y)[x as usize * channels + c];
    let narrow = |x: u32, y: u32, c: usize| plain_sum(w, width, x, |j| at(j, y, c));
    let narrow: Vec<u8> = (0..h)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| (0..channels).map(move |c| (x, y, c)))
        .map(|(x, y, c)| narrow(x, y, c))
        .collect();
    let narrow = Image8::with_channels(width, h, channels, narrow).unwrap();
    let at = |x: u32, y: u32, c: usize| narrow.row(y)[x as usize * channels + c];
    let pixels = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| (0..channels).map(move |c| (x, y, c)))
        .map(|(x, y, c)| plain_sum(h, height, y, |j| at(x, j, c)))
        .collect();
    Image8::with_channels(width, height, channels, pixels).unwrap()
}

/// Output `i` of `to`, of an axis of `from` inputs.
fn plain_sum(from: u32, to: u32, i: u32, at: impl Fn(u32) -> u8) -> u8 {
    if from == to {
        return at(i);
    }
    let ratio = f64::from(from) / f64::from(to);
    let (stretch, center) = (ratio.max(1.0), (f64::from(i) + 0.5) * ratio);
    let start = (center - 2.0 * stretch + 0.5) as u32;
    let end = ((center + 2.0 * stretch + 0.5) as u32).min(from);
    let cubic = |j: u32| match ((f64::from(j) - center + 0.5) * (1.0 / stretch)).abs() {
        x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
        _ => 0.0,
    };
    let total: f64 = (start..end).map(cubic).sum();
    let weight = |j: u32| (cubic(j) / total * f64::from(1 << 22)).round() as i64;
    let sum: i64 = (start..end).map(|j| weight(j) * i64::from(at(j))).sum();
    ((sum + (1 << 21)) >> 22).clamp(0, 255) as u8
}

/// A part of `0..len`: its start and its length, at least 1.
fn part(len: u32, (start, share): (f64, f64)) -> (u32, u32) {
    let start = (start * f64::from(len)) as u32;
    (start, 1 + (share * f64::from(len - start - 1)) as u32)
}

fn rect(size: (u32, u32), across: (f64, f64), down: (f64, f64)) -> Rect {
    let ((left, width), (top, height)) = (part(size.0, across), part(size.1, down));
    Rect { left, top, width, height }
}

fn cut(image: &Image8, Rect { left, top, width, height }: Rect) -> Image8 {
    let channels = image.channels();
    let row = |y| &image.row(y)[left as usize * channels..][..width as usize * channels];
    let pixels = (top..top + height).flat_map(|y| row(y).to_vec()).collect();
    Image8::with_channels(width, height, channels, pixels).unwrap()
}

fn unit() -> impl Strategy<Value = (f64, f64)> {
    (0.0..1.0, 0.0..1.0)
}

#[test]
fn an_unchanged_size_is_a_copy_of_the_box() {
    let image = noise(7, 5, 3);
    assert_eq!(crop_resize(&image, Rect::whole(&image), 7, 5), image);
    let part = crop_resize(&image, Rect { left: 2, top: 1, width: 3, height: 2 }, 3, 2);
    assert_eq!(part.row(1), &image.row(2)[6..15]);
}

#[test]
fn one_pixel_grows_to_one_color() {
    let image = Image8::filled(1, 1, &[9, 200, 255, 4]);
    let large = crop_resize(&image, Rect::whole(&image), 31, 17);
    assert!(large.pixels().chunks(4).all(|color| *color == [9, 200, 255, 4]));
}

proptest! {
    #[test]
    fn any_box_of_any_image_becomes_what_the_formula_says(
        size in (1_u32..150, 1_u32..80),
        (across, down) in (unit(), unit()),
        out in (1_u32..80, 1_u32..80),
        (window_across, window_down) in (unit(), unit()),
        channels in 1_usize..7,
        flip in any::<bool>(),
    ) {
        let image = noise(size.0, size.1, channels);
        let source = rect(size, across, down);
        let expected = plain(&cut(&image, source), out);
        prop_assert_eq!(&crop_resize(&image, source, out.0, out.1), &expected);
        // the same with a window, from a larger region, and after another image
        let (mut resizer, mut planes) = (Resizer::default(), Planes::default());
        resizer.load(&noise(3, 200, 2), Rect { left: 1, top: 0, width: 2, height: 200 });
        resizer.load(&image, Rect::whole(&image));
        let window = rect(out, window_across, window_down);
        resizer.resize(&Resize { source, size: out, window, flip }, &mut planes);
        let mut expected = Planes::from_image(&cut(&expected, window));
        if flip {
            let width = expected.width();
            expected.values_mut().chunks_mut(width).for_each(<[u8]>::reverse);
        }
        prop_assert_eq!(planes, expected);
    }

    #[test]
    fn a_flat_image_stays_flat(
        (width, height) in (1_u32..400, 1_u32..40),
        (out_width, out_height) in (1_u32..300, 1_u32..300),
        value in any::<u8>(),
    ) {
        let flat = Image8::filled(width, height, &[value; 3]);
        let flat = crop_resize(&flat, Rect::whole(&flat), out_width, out_height);
        prop_assert!(flat.pixels().iter().all(|pixel| *pixel == value));
    }
}

#[test]
fn a_line_of_30000_pixels_shrinks_and_grows() {
    for (width, height) in [(1, 30_000), (30_000, 1), (1, 1)] {
        for channels in [1, 3, 6] {
            let image = noise(width, height, channels);
            for size in [1, 96] {
                let found = crop_resize(&image, Rect::whole(&image), size, size);
                assert_eq!(found, plain(&image, (size, size)));
            }
        }
    }
}

#[test]
#[should_panic(expected = "is not in 4 x 4 pixels")]
fn a_box_outside_the_image_panics() {
    let source = Rect { left: 2, top: 0, width: 3, height: 1 };
    crop_resize(&Image8::filled(4, 4, &[0; 3]), source, 1, 1);
}

#[test]
#[should_panic(expected = "is not in Rect")]
fn a_box_outside_the_loaded_region_panics() {
    let mut resizer = Resizer::default();
    let image = Image8::filled(4, 4, &[0; 3]);
    resizer.load(&image, Rect { left: 1, top: 1, width: 3, height: 3 });
    resizer.resize(&Resize::whole(Rect::whole(&image), (2, 2)), &mut Planes::default());
}
