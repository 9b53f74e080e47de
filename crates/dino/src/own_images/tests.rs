use super::*;
use crate::config::{Arch, Centering, Precision};

const LAPTOP: Machine = Machine { cores: 8, memory: Some(16 << 30), precision: Precision::F32 };
const SMALL: Machine = Machine { cores: 2, memory: Some(8 << 30), precision: Precision::F32 };
const SERVER: Machine = Machine { cores: 96, memory: Some(256 << 30), precision: Precision::F32 };

fn look(images: usize, side: usize) -> Look {
    Look { images, side, channels: Some(3), is_deep: false }
}

fn fitted(name: &str, look: &Look, machine: &Machine, sets: &[&str]) -> Config {
    let sets: Vec<_> = sets.iter().map(|text| (*text).to_owned()).collect();
    let base = Config::draft(Some(name), None, &sets, &[]).unwrap();
    let keys = rules::keys(&base, look, machine).to_pairs();
    Config::resolve_fitted(Recommended { preset: name, keys }, None, &sets, &[]).unwrap()
}

fn photos(images: usize, side: usize, machine: &Machine) -> Config {
    fitted("photos", &look(images, side), machine, &[])
}

#[test]
fn any_images_on_any_machine_give_a_valid_configuration_that_has_a_batch() {
    for images in [1, 7, 30, 112, 1000, 4999, 20_000, 50_000, 1_281_167, 30_000_000] {
        for side in [1, 15, 28, 32, 64, 100, 256, 3000] {
            for name in ["photos", "microscopy", "satellite"] {
                for machine in [SMALL, LAPTOP, SERVER] {
                    let config = fitted(name, &look(images, side), &machine, &[]);
                    let what = format!("{name}, {images} images of {side}, {machine}");
                    assert!(config.optim.batch_size <= images, "{what}");
                    let plan =
                        crate::plan::Plan::new(&config, &crate::plan::Facts::of_images(images));
                    assert!(plan.unwrap().warnings.is_empty(), "{what}");
                }
            }
        }
    }
}

#[test]
fn crops_follow_the_images_and_never_enlarge_them_if_there_is_a_choice() {
    for (side, global, patch) in
        [(28, 24, 4), (32, 24, 4), (64, 48, 8), (112, 96, 16), (256, 224, 16)]
    {
        let config = photos(50_000, side, &SERVER);
        assert_eq!((config.data.global_size, config.model.patch_size), (global, patch), "{side}");
    }
    let small = photos(50_000, 32, &SMALL);
    assert_eq!((small.eval.crop, small.model.image_size), (Some(32), Some(32)));
    let large = photos(50_000, 500, &SERVER);
    assert_eq!((large.eval.resize, large.eval.crop), (Some(256), Some(224)));
}

#[test]
fn a_patch_that_a_person_chose_cuts_the_usual_crops_down_to_whole_patches() {
    for (patch, side, global, local) in [
        (14, 240, 56, 28),
        (15, 240, 60, 30),
        (20, 240, 60, 20),
        (7, 92, 63, 28),
        (16, 240, 64, 32),
    ] {
        let patch_size = format!("model.patch_size={patch}");
        let config = fitted("photos", &look(112, side), &SMALL, &[&patch_size]);
        let found = (config.data.global_size, config.data.local_size);
        assert_eq!(found, (global, local), "{patch}");
    }
    let config = fitted("photos", &look(50_000, 500), &SERVER, &["model.patch_size=14"]);
    // 13 patches; a night is too short for 224 pixels of this many patches
    assert_eq!((config.data.global_size, config.eval.crop), (182, Some(182)));
}

#[test]
fn a_crop_that_a_person_chose_has_about_the_usual_patches() {
    for (side, patch) in [(100, 20), (50, 10), (96, 16), (36, 4), (224, 16), (70, 7)] {
        let global_size = format!("data.global_size={side}");
        let config = fitted("photos", &look(112, 500), &SMALL, &[&global_size]);
        assert_eq!(config.model.patch_size, patch, "{side}");
    }
}

#[test]
fn the_network_follows_the_machine_and_the_number_of_images() {
    let arch = |images, side, machine: &Machine| photos(images, side, machine).model.arch;
    assert_eq!(arch(50_000, 256, &SMALL), Arch::Custom);
    assert_eq!(arch(50_000, 256, &LAPTOP), Arch::VitTiny);
    assert_eq!(arch(50_000, 256, &SERVER), Arch::VitSmall);
    assert_eq!(arch(5_000, 256, &SERVER), Arch::VitTiny);
    assert_eq!(arch(500, 256, &SERVER), Arch::Custom);
    assert!(photos(50_000, 256, &LAPTOP).data.global_size >= 96);
}

#[test]
fn length_batch_prototypes_and_momentum_follow_the_number_of_images() {
    let found = |images| {
        let config = photos(images, 64, &SMALL);
        let optim = &config.optim;
        (optim.epochs.unwrap(), optim.batch_size, config.model.prototypes, optim.teacher_momentum)
    };
    assert_eq!(found(100), (300.0, 8, 256, 0.98));
    assert_eq!(found(1000), (300.0, 64, 256, 0.98));
    assert_eq!(found(10_000), (64.0, 64, 512, 0.98));
    assert_eq!(found(50_000), (13.0, 64, 1024, 0.9803));
    assert_eq!(found(1_000_000), (10.0, 256, 4096, 0.9949));
}

#[test]
fn what_a_person_sets_stays_and_the_rest_follows_it() {
    let sets = ["optim.batch_size=256", "model.arch=vit_small", "optim.epochs=100"];
    let config = fitted("photos", &look(50_000, 64), &SMALL, &sets);
    assert_eq!((config.model.arch, config.optim.lr), (Arch::VitSmall, 5e-4));
    assert_eq!((config.optim.batch_size, config.model.prototypes), (256, 2048));
    assert!(config.optim.teacher_momentum > 0.98);
    let config = fitted("photos", &look(50_000, 64), &SMALL, &["data.global_size=32"]);
    assert_eq!((config.data.local_size, config.model.patch_size), (16, 4));
    let config = fitted("photos", &look(50_000, 64), &SMALL, &["objective.method=dino-vmf"]);
    assert_eq!(config.objective.centering(), Centering::Sinkhorn, "the method is the same");
}

/// Too few images for the network must not leave it with thumbnails and the settings of another one.
#[test]
fn a_network_that_a_person_chose_gets_its_settings_and_whole_crops_for_few_images() {
    let small = photos(896, 93, &SMALL);
    assert_eq!((small.model.arch, small.data.global_size), (Arch::Custom, 64));
    let chosen = |images, side, arch| {
        let sets = [format!("model.arch={arch}")];
        let config = fitted("photos", &look(images, side), &SMALL, &[&sets[0]]);
        (config.data.global_size, config.model.patch_size, config.optim.lr)
    };
    for images in [30, 896, 5000] {
        assert_eq!(chosen(images, 93, "vit_tiny"), (64, 8, 2e-3), "{images}");
        assert_eq!(chosen(images, 93, "vit_small"), (64, 8, 5e-4), "{images}");
    }
    assert!(chosen(500, 256, "vit_small").0 >= 96);
}

#[test]
fn a_batch_is_halved_until_half_of_the_memory_is_enough() {
    let base =
        Config::draft(Some("photos"), None, &["model.arch=vit_small".to_owned()], &[]).unwrap();
    let tight = Machine { memory: Some(2 << 30), ..SERVER };
    let look = look(50_000, 256);
    let mut keys = rules::keys(&base, &look, &tight);
    let resolve = |keys: &rules::Keys| {
        let recommended = Recommended { preset: "photos", keys: keys.to_pairs() };
        Config::resolve_fitted(recommended, None, &["model.arch=vit_small".to_owned()], &[])
            .unwrap()
    };
    let mut config = resolve(&keys);
    while rules::halve_batch(&mut keys, &config, &tight) {
        config = resolve(&keys);
    }
    let needed = crate::memory::Estimate::of_training(&config, tight.cores, None).total;
    assert!(config.optim.batch_size < 64 && needed <= (1 << 30) as f64, "{needed}");
}
