use super::*;
use crate::config::to_steps;

fn resolve(preset: Option<&str>, sets: &[&str]) -> Config {
    let sets: Vec<_> = sets.iter().map(|text| (*text).to_owned()).collect();
    Config::resolve(preset, None, &sets, &[]).unwrap()
}

fn set(sets: &[&str]) -> Config {
    resolve(None, sets)
}

fn preset(name: &str, sets: &[&str]) -> Config {
    resolve(Some(name), sets)
}

fn plan(config: &Config, images: usize) -> Result<Plan> {
    Plan::new(config, &Facts::of_images(images))
}

#[test]
fn a_warmup_of_a_preset_shrinks_with_the_run() {
    let config = preset("dino-vit-s16-100ep", &["optim.steps=50"]);
    let Plan { config: fitted, schedules, warnings, .. } = plan(&config, 512 * 100).unwrap();
    assert_eq!(schedules.horizon, Horizon { total_steps: 50, steps_per_epoch: 100 });
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(
        warnings[0],
        "`optim.warmup_epochs` shortened from 1000 to 5 steps, because the run has only 50"
    );
    assert_eq!(to_steps(fitted.optim.warmup_epochs, 100), 5);
    assert_eq!(config.optim.warmup_epochs, 10.0, "the configuration stays as it was written");
    assert!(plan(&fitted, 512 * 100).unwrap().warnings.is_empty());
}

#[test]
fn a_warmup_written_by_hand_is_an_error_when_too_long() {
    let config = set(&["optim.warmup_epochs=6", "optim.epochs=5"]);
    let error = plan(&config, 640).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`optim.warmup_epochs` is 6 in `--set`, which is 60 steps, but the run has 50"
    );
    let error = plan(&config, 63).unwrap_err().to_string();
    assert_eq!(error, "`shapes` has 63 images, but one step needs 64");
}

#[test]
fn keys_of_the_command_line_that_change_nothing_are_reported() {
    let warnings = |sets: &[&str]| idle_keys(&set(sets));
    assert_eq!(
        warnings(&["masking.ratios=[0.3]", "objective.debye_terms=1", "optim.decay_norms=false"]),
        [
            "`masking.ratios` in `--set` changes nothing, because `objective.method` masks no patches",
            "`objective.debye_terms` in `--set` changes nothing, because `objective.prototype_norm` is \
             not `vmf`, so there is no normalizer",
            "`optim.decay_norms` in `--set` changes nothing, because `objective.prototype_norm` is `l2`, \
             so norms are fixed",
        ]
    );
    let of_start = ["init.heads=2", "init.fresh_heads=true", "eval.every_epochs=1"];
    assert_eq!(warnings(&of_start).len(), 3);
    assert_eq!(warnings(&[&of_start[..], &["init.checkpoint=a.pth"]].concat()).len(), 0);
    let iterations = "objective.sinkhorn_iterations=5";
    assert_eq!(warnings(&[iterations]).len(), 1);
    let sinkhorn = "objective.centering=sinkhorn";
    assert_eq!(warnings(&[iterations, sinkhorn]).len(), 0);
    assert_eq!(warnings(&["objective.center_momentum=0.5", sinkhorn]).len(), 1);
    let used = ["objective.method=ibot-vmf", "masking.ratios=[0.3]", "masking.spreads=[0.0]"];
    assert_eq!(warnings(&[&used[..], &["objective.debye_terms=1"]].concat()).len(), 0);
    // What a file holds may be meant for other methods.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, "[masking]\nratios = [0.3]\n").unwrap();
    let config = Config::resolve(None, Some(&path), &[], &[]).unwrap();
    assert_eq!(idle_keys(&config).len(), 0);
}

#[test]
fn the_first_mask_lies_inside_the_run() {
    let of = |sets: &[&str]| preset("shapes-ibot", sets);
    let warnings = |config: &Config, images| plan(config, images).unwrap().warnings;
    let whole = of(&[]);
    let start = whole.masking.start_epoch;
    assert!(start > 0 && warnings(&whole, 10_000).is_empty());
    let short = plan(&of(&["optim.epochs=1"]), 10_000).unwrap();
    assert_eq!(
        short.warnings,
        [format!(
            "`masking.start_epoch` moved from {start} to 0, because the run has only 156 steps"
        )]
    );
    assert_eq!(short.config.masking.start_epoch, 0);
    let late = ["optim.epochs=3", "masking.start_epoch=3"];
    assert_eq!(
        plan(&of(&late), 640).unwrap_err().to_string(),
        "`masking.start_epoch` is 3 in `--set`, which is 30 steps, but the run has 30"
    );
    let unmasked = of(&["objective.method=dino", late[0], late[1]]);
    assert!(plan(&unmasked, 640).unwrap().masks.is_none());
}

#[test]
fn a_preset_is_evaluated_on_the_images_of_the_run() {
    let facts = Facts { images: 10_000, has_labelled_parts: true };
    let own = preset("shapes-tiny", &["data.source=photos"]);
    let parts = parts_to_evaluate(&own).unwrap();
    assert_eq!((parts.train.as_str(), parts.test.as_str()), ("photos:train", "photos:test"));
    let eval = Plan::new(&own, &facts).unwrap().config.eval;
    assert_eq!((eval.train, eval.test), (Some(parts.train), Some(parts.test)));
    assert_eq!((eval.max_train, eval.max_test), (Some(10_000), Some(2_000)));
    let eval = plan(&own, 10_000).unwrap().config.eval;
    assert_eq!((eval.train, eval.test), (None, None), "no labels");
    for sets in [
        &["data.source=photos", "eval.train=none", "eval.test=none"][..],
        &["data.source=photos", "eval.train=other", "eval.test=other"],
        &["data.source=shapes"],
    ] {
        assert_eq!(parts_to_evaluate(&preset("shapes-tiny", sets)), None, "{sets:?}");
    }
    // What a program sets is nobody's preset.
    let mut config = Config::default();
    config.data.source = "photos".to_owned();
    config.eval.train = Some("shapes:train".to_owned());
    assert_eq!(parts_to_evaluate(&config), None);
}

#[test]
fn a_plan_refuses_what_the_command_refuses() {
    let mut config = Config::default();
    config.run.device = "cuda".to_owned();
    let error = plan(&config, 10_000).unwrap_err();
    let message =
        "`run.device` is \"cuda\", but must be \"cpu\": this version computes on nothing else yet";
    assert!(error.to_string() == message && error.is_usage(), "{error}");
    config = Config::default();
    config.run.threads = 5000;
    assert!(plan(&config, 10_000).is_err());
    config = Config::default();
    config.eval.train = Some("photos:train".to_owned());
    assert!(plan(&config, 10_000).unwrap_err().to_string().starts_with("`eval.train`"));
}
