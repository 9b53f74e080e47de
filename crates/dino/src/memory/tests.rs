use super::*;

fn config(preset: &str, sets: &[&str]) -> Config {
    let sets: Vec<_> = sets.iter().map(|text| (*text).to_owned()).collect();
    Config::resolve(Some(preset), None, &sets, &[]).unwrap()
}

fn refused(config: &Config, gib: f64) -> Error {
    check(config, gib * GIB, &|config| Estimate::of_training(config, 2, None)).unwrap_err()
}

#[test]
fn a_preset_for_eight_gpus_says_what_it_needs_and_what_fits() {
    let config = config("dino-vmf-vit-s16", &[]);
    let error = refused(&config, 23.0);
    assert!(error.is_usage());
    let (text, hint) = (error.to_string(), error.hint().unwrap());
    let start = "a network of 12 blocks of width 384 with 65536 prototypes and batches of 1024 needs \
                 about ";
    assert!(text.starts_with(start) && text.contains("but this machine has 23 GiB"), "{text}");
    assert!(hint.starts_with("try `--set optim.accumulate="), "{hint}");
    assert!(hint.contains("the batch stays the same"), "{hint}");
}

#[test]
fn advice_fits_and_holds_no_more_than_it_must() {
    for preset in crate::preset::all() {
        for gib in [1.5, 4.0, 16.0, 64.0] {
            let config = config(preset.name, &[]);
            let estimate = |config: &Config| Estimate::of_training(config, 2, None);
            if estimate(&config).total <= gib * GIB {
                continue;
            }
            let Some(advice) = advise(&config, gib * GIB, &estimate) else { continue };
            let sets: Vec<_> = advice
                .split(['`', ' '])
                .filter(|word| word.contains('='))
                .map(str::to_owned)
                .collect();
            let mut advised = Config::resolve(Some(preset.name), None, &sets, &[]).unwrap();
            if let Some((_, rest)) = advice.split_once("--recompute ") {
                let light = rest.starts_with("light");
                advised.run.recompute = if light { Recompute::Light } else { Recompute::Blocks };
            }
            assert!(estimate(&advised).total <= gib * GIB, "{}: {advice}", preset.name);
        }
    }
}

#[test]
fn a_batch_that_is_balanced_as_a_whole_is_not_cut() {
    let config = config("dino-vit-s16", &["objective.centering=sinkhorn"]);
    let hint = refused(&config, 8.0).hint().unwrap();
    assert!(!hint.contains("accumulate"), "{hint}");
}

#[test]
fn where_nothing_fits_there_is_no_advice() {
    let config = config("dino-vit-s16", &["model.prototypes=16000000"]);
    assert!(refused(&config, 8.0).hint().unwrap().contains("smaller network"));
}

#[test]
fn amounts_are_written_for_people() {
    let of = |bytes: f64| Bytes(bytes).to_string();
    assert_eq!([of(0.5 * GIB), of(1.26 * GIB), of(260.4 * GIB)], ["512 MiB", "1.3 GiB", "260 GiB"]);
}

#[test]
fn an_evaluation_holds_the_features_of_all_its_sources() {
    let sets = ["model.arch=vit_tiny", "model.patch_size=8", "eval.crop=32", "eval.max_train=40"];
    let config = config("shapes-tiny", &sets);
    let data = crate::evaluation::open(&config, crate::evaluation::probes(&config));
    let data = data.unwrap().unwrap();
    let (vit, head) = shapes(&config);
    let network = &Network::new(&vit, &head);
    let params = &vit::init::draw(network, 0, 0.02);
    let encoder = probe::Encoder { name: "trained", network, params };
    let bytes = |sources: &[&dyn probe::Source]| {
        evaluation(&config, data.size(), data.values_of_image(sources))
    };
    let alone = bytes(&[&encoder]) - bytes(&[]);
    // k-NN takes training images as they come, so only those of the test set are held.
    assert_eq!(data.size().held, data.counts().1);
    assert_eq!(alone, F32 * vit.embed_dim as f64 * data.size().held as f64);
    let all = bytes(&[&probe::RawPixels, &encoder, &encoder]);
    let pixels = bytes(&[&probe::RawPixels]);
    assert_eq!(all - pixels, 2.0 * alone);
}
