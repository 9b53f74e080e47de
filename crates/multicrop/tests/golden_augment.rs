//! Compares the augmentation with Pillow and torchvision: on a photograph, the fixture `augment` of
//! the full golden set, and on procedural images in `golden/pillow.csv`, which is part of the
//! repository.
//!
//! All bytes must be equal, because the arithmetic is in integers.

mod golden {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::{env, fs};

    use multicrop::augment::color_jitter::{Adjustment, Jitter};
    use multicrop::augment::{
        CropParameters, blur, color_jitter, flip, grayscale, normalize, solarize,
    };
    use multicrop::eval_view::{EvalView, resized_size};
    use multicrop::image::{Image8, Rect};
    use multicrop::resize::crop_resize;
    use safetensors::{Dtype, SafeTensors};
    use serde_json::Value;

    /// A jitter that changes nothing.
    const STILL: Jitter = Jitter {
        order: Adjustment::ALL,
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
        hue: 0.0,
    };

    /// The fixture: its description and the file with its tensors.
    struct Fixture {
        json: Value,
        bytes: Vec<u8>,
    }

    impl Fixture {
        /// Reads it from `DINO_VMF_GOLDEN` if that is set now, else from the folder that was found
        /// when the tests were compiled. `#[goldens::test(augment)]` ignores the test if it is
        /// missing.
        fn open() -> Self {
            let now = env::var_os("DINO_VMF_GOLDEN").filter(|value| !value.is_empty());
            let folder = now.map_or_else(|| goldens::folder!().into(), PathBuf::from);
            let read = |name: &str| {
                let path = folder.join(name);
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            };
            let json = serde_json::from_slice(&read("augment.json")).expect("JSON");
            Self { json, bytes: read("augment.safetensors") }
        }

        fn tensors(&self) -> SafeTensors<'_> {
            SafeTensors::deserialize(&self.bytes).expect("a safetensors file")
        }

        /// The image `name`, `[height, width, 3]`.
        fn image(&self, name: &str) -> Image8 {
            let tensors = self.tensors();
            let tensor = tensors.tensor(name).expect(name);
            assert_eq!(tensor.dtype(), Dtype::U8, "{name}");
            let [height, width, 3] = *tensor.shape() else {
                panic!("{name}: {:?}", tensor.shape())
            };
            Image8::new(width as u32, height as u32, tensor.data().to_vec()).expect(name)
        }

        fn expect(&self, name: &str, found: &Image8) {
            let expected = self.image(name);
            let size = |image: &Image8| (image.width(), image.height());
            assert_eq!(size(found), size(&expected), "{name}");
            let pairs = found.pixels().iter().zip(expected.pixels());
            let wrong = pairs.filter(|(found, expected)| found != expected).count();
            assert_eq!(wrong, 0, "{name}: {wrong} of {} bytes differ", found.pixels().len());
        }

        /// Compares `small` after `change` with tensor `name`.
        fn expect_changed(&self, name: &str, change: impl Fn(&mut Image8)) {
            let mut image = self.image("small");
            change(&mut image);
            self.expect(name, &image);
        }

        fn boxes(&self) -> Vec<Rect> {
            list(&self.json["boxes_top_left_height_width"]).iter().map(rect).collect()
        }
    }

    fn list(value: &Value) -> &[Value] {
        value.as_array().expect("a list")
    }

    fn number(value: &Value) -> f64 {
        value.as_f64().expect("a number")
    }

    /// `[top, left, height, width]`
    fn rect(value: &Value) -> Rect {
        let at = |i: usize| number(&value[i]) as u32;
        Rect { top: at(0), left: at(1), height: at(2), width: at(3) }
    }

    fn jitter(value: &Value) -> Jitter {
        let order = list(&value["order"]).iter().map(|i| Adjustment::ALL[number(i) as usize]);
        Jitter {
            order: order.collect::<Vec<_>>().try_into().expect("four changes"),
            brightness: number(&value["brightness"]),
            contrast: number(&value["contrast"]),
            saturation: number(&value["saturation"]),
            hue: number(&value["hue"]),
        }
    }

    /// A jitter with only one change.
    fn only(change: &str, value: f64) -> Jitter {
        let mut jitter = STILL;
        match change {
            "brightness" => jitter.brightness = value,
            "contrast" => jitter.contrast = value,
            "saturation" => jitter.saturation = value,
            "hue" => jitter.hue = value,
            other => panic!("no change of colors is called {other}"),
        }
        jitter
    }

    #[goldens::test(augment)]
    fn boxes_of_the_photograph_are_resized_as_pillow_does() {
        let fixture = Fixture::open();
        let (photo, boxes) = (fixture.image("photo"), fixture.boxes());
        let mut compared = 0;
        for name in fixture.tensors().names() {
            let Some(rest) = name.strip_prefix("crop_resize/") else { continue };
            let (index, size) = rest.split_once('/').expect("crop_resize/<box>/<size>");
            let (index, size): (usize, u32) = (index.parse().unwrap(), size.parse().unwrap());
            fixture.expect(name, &crop_resize(&photo, boxes[index], size, size));
            compared += 1;
        }
        assert!(compared >= boxes.len(), "{compared} boxes compared");
    }

    #[goldens::test(augment)]
    fn each_change_of_colors_is_that_of_torchvision() {
        let fixture = Fixture::open();
        for (change, factors) in fixture.json["factors"].as_object().expect("a table") {
            for (i, factor) in list(factors).iter().enumerate() {
                let jitter = only(change, number(factor));
                fixture.expect_changed(&format!("{change}/{i}"), |image| {
                    color_jitter::apply(&jitter, image);
                });
            }
        }
    }

    #[goldens::test(augment)]
    fn changes_of_colors_compose_in_both_orders() {
        let fixture = Fixture::open();
        for (i, value) in list(&fixture.json["jitters"]).iter().enumerate() {
            fixture.expect_changed(&format!("jitter/{i}"), |image| {
                color_jitter::apply(&jitter(value), image);
            });
        }
    }

    #[goldens::test(augment)]
    fn flip_grayscale_and_solarization_are_those_of_torchvision() {
        let fixture = Fixture::open();
        fixture.expect_changed("hflip", flip::apply);
        fixture.expect_changed("grey", grayscale::apply);
        fixture.expect_changed("solarise", |image| solarize::apply(image, solarize::THRESHOLD));
    }

    #[goldens::test(augment)]
    fn blurs_are_those_of_pillow() {
        let fixture = Fixture::open();
        for (i, radius) in list(&fixture.json["blur_radii"]).iter().enumerate() {
            fixture.expect_changed(&format!("blur/{i}"), |image| {
                blur::apply(image, number(radius));
            });
        }
    }

    #[goldens::test(augment)]
    fn whole_pipelines_agree() {
        let fixture = Fixture::open();
        let photo = fixture.image("photo");
        for (i, value) in list(&fixture.json["pipelines"]).iter().enumerate() {
            let flag = |name: &str| value[name].as_bool().expect(name);
            let parameters = CropParameters {
                size: number(&value["size"]) as u32,
                source: rect(&value["box"]),
                flip: flag("flip"),
                flip_vertical: false,
                quarter_turns: 0,
                jitter: value["jitter"].is_object().then(|| jitter(&value["jitter"])),
                grayscale: flag("grey"),
                blur: value["blur"].as_f64(),
                solarize: flag("solarise").then_some(solarize::THRESHOLD),
            };
            fixture.expect(&format!("pipeline/{i}"), &parameters.apply(&photo).into_8_bits());
        }
    }

    #[goldens::test(augment)]
    fn the_view_of_evaluations_is_resized_and_centered_as_torchvision_does() {
        let fixture = Fixture::open();
        let photo = fixture.image("photo");
        let size = |name: &str| number(&fixture.json["eval"][name]) as u32;
        let (short_side, crop) = (size("short_side"), size("crop"));
        let (width, height) = resized_size((photo.width(), photo.height()), short_side);
        let resized = crop_resize(&photo, Rect::whole(&photo), width, height);
        fixture.expect("eval/resized", &resized);
        let view = EvalView { resize: Some(short_side), crop, ..EvalView::imagenet() };
        fixture.expect("eval/output", &view.view(&photo).into_8_bits());
    }

    /// The tolerance of 1e-6 is about six times half a unit in the last place of the largest value,
    /// 2.6.
    #[goldens::test(augment)]
    fn normalized_values_agree_within_single_precision() {
        let fixture = Fixture::open();
        let image = fixture.image("normalise/input");
        let mut found = vec![f32::NAN; image.pixels().len()];
        let (mean, std) = (normalize::IMAGENET_MEAN, normalize::IMAGENET_STD);
        normalize::apply(&image, mean, std, &mut found);
        let tensors = fixture.tensors();
        let expected = tensors.tensor("normalise/output").expect("normalise/output");
        let expected = expected.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        assert_eq!(expected.len(), found.len());
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!((found - expected).abs() <= 1e-6, "{i}: {found}, not {expected}");
        }
    }

    /// One line of `golden/pillow.csv`; this repeats the function `picture` of `pillow.py`.
    struct Case<'a> {
        op: &'a str,
        value: f64,
        numbers: Vec<u32>, // width, height, salt, then the box and the output's size, then the CRC
    }

    impl<'a> Case<'a> {
        fn parse(line: &'a str) -> Self {
            let fields: Vec<&str> = line.split(',').collect();
            let whole = |i: usize| fields[i].parse::<u32>().expect(line);
            let numbers = (1..fields.len()).filter(|i| *i != 4).map(whole).collect();
            Self { op: fields[0], value: fields[4].parse().expect(line), numbers }
        }

        fn picture(&self) -> Image8 {
            let &[width, height, salt, ..] = &self.numbers[..] else { panic!("{}", self.op) };
            let value = |x: u32, y: u32, c: u32| {
                let bits = x.wrapping_mul(73_856_093)
                    ^ y.wrapping_mul(19_349_663)
                    ^ c.wrapping_mul(83_492_791)
                    ^ salt.wrapping_mul(2_654_435_761);
                let noise = bits.wrapping_mul(2_246_822_519) >> 24;
                let ramp = (x * 3 + y * 2 + c * 40) % 192;
                if salt % 2 == 1 { (noise / 4 + ramp) as u8 } else { noise as u8 }
            };
            let columns = |y: u32| (0..width).map(move |x| (x, y));
            let at = |(x, y): (u32, u32)| [value(x, y, 0), value(x, y, 1), value(x, y, 2)];
            let pixels = (0..height).flat_map(columns).flat_map(at).collect();
            Image8::new(width, height, pixels).expect("a case has pixels")
        }

        fn make(&self) -> Image8 {
            let mut image = self.picture();
            match self.op {
                "resize" => {
                    let &[left, top, width, height, out_width, out_height, _] = &self.numbers[3..]
                    else {
                        panic!("{}", self.op)
                    };
                    let source = Rect { left, top, width, height };
                    return crop_resize(&image, source, out_width, out_height);
                }
                "blur" => blur::apply(&mut image, self.value),
                "grayscale" => grayscale::apply(&mut image),
                "solarize" => solarize::apply(&mut image, solarize::THRESHOLD),
                change => color_jitter::apply(&only(change, self.value), &mut image),
            }
            image
        }
    }

    #[test]
    fn procedural_images_of_any_size_agree_with_pillow() {
        let lines = include_str!("golden/pillow.csv").lines().skip(1);
        let mut wrong: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in lines {
            let case = Case::parse(line);
            let mut crc = flate2::Crc::new();
            crc.update(case.make().pixels());
            if Some(&crc.sum()) != case.numbers.last() {
                wrong.entry(case.op).or_default().push(line);
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
