//! What to try against an alarm or a loss that is not finite. Nothing that the settings have already.

use super::Kind;
use crate::config::{Centering, Config, PrototypeNorm};

/// A limit on the norm of the gradient that tames most runs.
const CLIP: f64 = 0.3;
/// Momentum of the center, and of the teacher, that suit most runs.
const CENTER_MOMENTUM: f64 = 0.5;
const TEACHER_MOMENTUM: f64 = 0.996;
/// Weight of KoLeo-proto.
const KOLEO: f64 = 0.1;

/// What to try, for each kind of alarm in the order of their discriminants.
pub fn all(config: &Config) -> [String; Kind::ALL.len()] {
    Kind::ALL.map(|kind| of(kind, config))
}

fn of(kind: Kind, config: &Config) -> String {
    let start_again = |advice: &[Option<String>]| format!("start again with {}", one_of(advice));
    let lower_lr = Some("a lower `--set optim.lr=…`".to_owned());
    match kind {
        Kind::Feature => format!(
            "look at the images (`dino-vmf data preview SOURCE`), or {}",
            start_again(&[lower_lr])
        ),
        Kind::Uniform => start_again(&[
            Some("a lower `--set objective.teacher_temp=…` and `teacher_temp_start`".to_owned()),
            lower_lr,
            init_std(config),
        ]),
        Kind::OneHot => start_again(&[
            center_momentum(config),
            Some("a higher `--set objective.teacher_temp=…`".to_owned()),
            (config.objective.centering() != Centering::Sinkhorn)
                .then(|| "`--set objective.centering=sinkhorn`".to_owned()),
        ]),
        Kind::Partial => start_again(&[
            (config.objective.lambda_koleo < KOLEO)
                .then(|| format!("`--set objective.lambda_koleo={KOLEO}`")),
            Some("fewer `--prototypes`".to_owned()),
        ]),
        Kind::Aliased => start_again(&[
            (config.optim.teacher_momentum < TEACHER_MOMENTUM)
                .then(|| format!("`--set optim.teacher_momentum={TEACHER_MOMENTUM}`")),
            Some("a higher `--set optim.lr=…`".to_owned()),
        ]),
        Kind::Norms => start_again(&[norm(config), clip_grad(config), lower_lr]),
        Kind::Gradients | Kind::Weights => format!(
            "go back to an earlier checkpoint, or {}",
            start_again(&[lower_lr, clip_grad(config)])
        ),
    }
}

/// What to try if values are not finite.
pub(crate) fn of_divergence(config: &Config) -> String {
    let free = config.objective.prototype_norm() == PrototypeNorm::Free;
    let vmf = free.then(|| "`--set objective.prototype_norm=vmf`".to_owned());
    one_of(&[Some("a lower `--set optim.lr=…`".to_owned()), clip_grad(config), vmf])
}

fn init_std(config: &Config) -> Option<String> {
    let usual = 1.0 / (config.model.sizes().embed_dim as f64).sqrt();
    let is_near = (0.5..2.0).contains(&(config.model.init_std / usual));
    (!is_near).then(|| format!("`--set model.init_std={usual:.2}`, which is 1/√embed_dim"))
}

fn center_momentum(config: &Config) -> Option<String> {
    let objective = &config.objective;
    let is_slow =
        objective.centering() != Centering::Sinkhorn && objective.center_momentum > CENTER_MOMENTUM;
    is_slow.then(|| format!("`--set objective.center_momentum={CENTER_MOMENTUM}`"))
}

fn clip_grad(config: &Config) -> Option<String> {
    let clip = config.optim.clip_grad;
    // 0 clips nothing.
    (clip == 0.0 || clip > CLIP).then(|| format!("`--set optim.clip_grad={CLIP}`"))
}

fn norm(config: &Config) -> Option<String> {
    Some(match config.objective.prototype_norm() {
        PrototypeNorm::Free => "`--set objective.prototype_norm=vmf` (or `l2`)".to_owned(),
        PrototypeNorm::Vmf => "`--set objective.prototype_norm=l2`".to_owned(),
        PrototypeNorm::L2 => return None,
    })
}

/// `a, b or c`, without what is already set.
fn one_of(advice: &[Option<String>]) -> String {
    let advice: Vec<_> = advice.iter().flatten().map(String::as_str).collect();
    match advice.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
        Config::resolve(None, None, &sets, &[]).expect("valid settings")
    }

    /// Every `--set KEY=VALUE` that is advised changes the settings.
    #[test]
    fn nothing_is_advised_that_is_set_already() {
        let set = [
            "objective.prototype_norm=vmf",
            "objective.center_momentum=0.5",
            "objective.centering=sinkhorn",
            "objective.lambda_koleo=0.1",
            "optim.teacher_momentum=0.996",
            "optim.clip_grad=0.3",
            "model.init_std=0.05",
        ];
        let (default, set_config) = (config(&[]), config(&set));
        let texts = |config: &Config| {
            let alarms = all(config).into_iter();
            alarms.chain([of_divergence(config)]).collect::<Vec<_>>().join("\n")
        };
        let free = config(&["objective.prototype_norm=free", "optim.teacher_momentum=0.9"]);
        let unset = texts(&default) + &texts(&free);
        for set in set {
            assert!(unset.contains(&format!("`--set {set}`")), "{set}: {unset}");
            assert!(!texts(&set_config).contains(set), "{set}: {}", texts(&set_config));
        }
        assert!(all(&set_config).iter().all(|text| text.len() > 20));
    }
}
