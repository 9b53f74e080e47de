//! A new term is one file: this one pulls the student's \[CLS\] vectors toward an axis, beside the terms of
//! a method.

use dino::checkpoint::CenterOf;
use dino::config::{Arch, Config};
use dino::schedule::StepValues;
use dino::terms::{Gradients, Inputs, NotFinite, Term, TermReport};
use dino::trainer::step::{CropBatch, State, Training};
use engine::{Params, Tensor};
use rand::RngExt;
use report::{Metric, Metrics};
use streams::{Key, Purpose};

/// ```text
/// loss = λ · mean over rows of −⟨y, e₀⟩        dy = −λ / rows · e₀
/// ```
#[derive(Debug, Clone)]
struct Pull {
    lambda: f64,
    discarded: usize,
}

impl Term for Pull {
    fn name(&self) -> &'static str {
        "pull"
    }

    fn boxed_clone(&self) -> Box<dyn Term> {
        Box::new(self.clone())
    }

    fn of_outputs(
        &mut self,
        inputs: &Inputs<'_>,
        gradients: &mut Gradients<'_>,
        report: &mut TermReport<'_>,
    ) -> Result<(), NotFinite> {
        let y = &inputs.student.cls;
        let scale = inputs.share * self.lambda / y.rows() as f64;
        let along = y.host().chunks_exact(y.width()).map(|y| f64::from(y[0])).sum::<f64>();
        report.metrics.add(Metric::Loss, -scale * along);
        if !scale.is_finite() {
            return Err(NotFinite);
        }
        let mut dy = Tensor::zeros(y.shape());
        let rows = dy.host_mut().chunks_exact_mut(y.width());
        rows.for_each(|dy| dy[0] = -scale as f32);
        gradients.outputs.add_cls(dy);
        Ok(())
    }

    fn discard_step(&mut self) {
        self.discarded += 1;
    }
}

const IMAGES: usize = 4;

fn small_training() -> Training {
    let mut config = Config::default();
    let model = &mut config.model;
    model.arch = Arch::Custom;
    (model.embed_dim, model.depth, model.heads) = (Some(16), Some(2), Some(2));
    model.patch_size = 4;
    (model.head_hidden_dim, model.bottleneck_dim, model.prototypes) = (16, 8, 32);
    let data = &mut config.data;
    (data.global_size, data.local_size, data.local_crops) = (16, 8, 2);
    config.optim.clip_grad = 0.0;
    Training::new(config)
}

fn noise(len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(3, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Metrics and gradients of one step.
fn take(training: &Training, state: &mut State) -> Result<(Metrics, Params), String> {
    let mut grads = Params::zeros(training.network.table().clone());
    let (globals, locals) = (noise(2 * IMAGES * 3 * 256, 0), noise(2 * IMAGES * 3 * 64, 1));
    let batch = CropBatch { globals: &globals, locals: &locals, masks: &[], images: IMAGES };
    let values = StepValues {
        lr: 1e-3,
        weight_decay: 0.0,
        momentum: 0.9,
        teacher_temp: 0.04,
        patch_temp: 0.04,
        epoch: 0,
        freeze_last_layer: false,
        freeze_backbone: false,
    };
    let report = training.step(state, &mut grads, &[batch], &values);
    Ok((report.map_err(|error| error.to_string())?.metrics, grads))
}

fn pull(lambda: f64) -> Box<dyn Term> {
    Box::new(Pull { lambda, discarded: 0 })
}

#[test]
fn the_loss_and_its_gradients_are_the_sum_of_all_terms() {
    let training = small_training();
    let run = |change: fn(&mut Vec<Box<dyn Term>>)| {
        let mut state = training.initial_state();
        change(&mut state.terms);
        let (metrics, grads) = take(&training, &mut state).unwrap();
        (metrics.value(Metric::Loss), grads)
    };
    let (views, d_views) = run(|_| {});
    let (alone, d_alone) = run(|terms| *terms = vec![pull(0.5)]);
    let (both, d_both) = run(|terms| terms.push(pull(0.5)));
    assert!(alone != 0.0 && (both - views - alone).abs() < 1e-6, "{both}: {views} and {alone}");
    for entry in d_both.table().entries() {
        let [a, b, sum] = [&d_views, &d_alone, &d_both].map(|grads| grads.view(entry.param).host());
        let largest = sum.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        for ((a, b), sum) in a.iter().zip(b).zip(sum) {
            let error = (a + b - sum).abs();
            assert!(error <= 1e-5 * largest + 1e-9, "`{}`: {a} + {b} is {sum}", entry.name);
        }
    }
}

#[test]
fn a_term_without_a_finite_loss_ends_the_step_and_leaves_the_state() {
    let training = small_training();
    let mut state = training.initial_state();
    state.terms.push(pull(f64::INFINITY));
    let before = state.clone();
    let message = take(&training, &mut state).unwrap_err();
    assert!(message.starts_with("the loss is"), "{message}");
    assert_eq!(state.step, 0);
    assert_eq!(state.student.whole().host(), before.student.whole().host());
    let center = |state: &State| state.center(CenterOf::Cls).unwrap().host().to_vec();
    assert_eq!(center(&state), center(&before));
    let text = format!("{:?}", state.terms.last().unwrap());
    assert!(text.contains("discarded: 1"), "{text}");
}
