//! Training checkpoints of DINO and iBOT: what `restart_from_checkpoint` reads.
//!
//! ```text
//! student     module.backbone.*, module.head.*     epoch        finished epochs
//! teacher     backbone.*, head.*                   dino_loss    center [1, k]
//! optimizer   state, param_groups                  ibot_loss    center [1, k], center2 [1, 1, k]
//! ```

use std::path::Path;

use interchange::archive::write::StorageInfo;
use interchange::convert::{Target, groups_of_adamw};
use interchange::dialect::{self, Network};
use interchange::pickle::Object;
use interchange::{Dtype, TensorInfo};

use super::source::{Run, Source, Weights};
use crate::config::{Centering, Optim, PrototypeNorm};
use crate::error::{Error, Result};

/// A training checkpoint that is written.
pub(super) struct Training<'a> {
    source: &'a Source,
    target: Target,
    student: Weights<'a>,
    teacher: Weights<'a>,
    storages: Vec<Stored>,
    student_names: Vec<Named>,
    teacher_names: Vec<Named>,
    centers: Vec<Named>,
    optimizer: Option<Object>,
    epoch: Option<i64>,
    /// What a user should know.
    pub(super) notes: Vec<String>,
}

/// A tensor of the file: its name, its shape, its storage.
struct Named {
    name: String,
    shape: Vec<usize>,
    storage: usize,
}

/// What a storage holds.
enum Stored {
    /// A tensor of the student, by this program's name, with its number of values.
    Student(String, usize),
    /// One of the teacher.
    Teacher(String, usize),
    /// A tensor of the checkpoint that is read: a center or a moment.
    Other(TensorInfo),
    /// A number of updates.
    Steps(u64),
}

impl<'a> Training<'a> {
    /// # Errors
    /// A checkpoint without a student or heads; one of DINO that is to be one of iBOT.
    pub(super) fn of(source: &'a Source, target: Target) -> Result<Self> {
        let checkpoint = &source.checkpoint;
        let (student, network) = student_of(source, target).map_err(|lacks| {
            let (path, target) = (source.path().to_owned(), target.to_string());
            Error::NoTraining { path, target, lacks }
        })?;
        // iBOT's teacher has no token for masked patches
        let teacher_network = Network { mask_token: false, ..network.clone() };
        let weights = |weights: &'a dialect::Weights, network: &Network| {
            let shapes = network.tensors().into_iter().collect();
            Weights { source, weights, shapes, positions: None }
        };
        let mut training = Self {
            source,
            target,
            student: weights(student, &network),
            teacher: weights(&checkpoint.weights, &teacher_network),
            storages: Vec::new(),
            student_names: Vec::new(),
            teacher_names: Vec::new(),
            centers: Vec::new(),
            optimizer: None,
            epoch: None,
            notes: Vec::new(),
        };
        let shares_head = network.head.is_some_and(|head| head.patch_prototypes.is_none());
        training.place_networks(&network, &teacher_network, shares_head);
        training.place_centers();
        training.place_epoch();
        training.place_optimizer(&network);
        training.note_what_is_missing(shares_head);
        Ok(training)
    }

    /// Number of tensors.
    pub(super) fn tensors(&self) -> usize {
        self.student_names.len() + self.teacher_names.len() + self.centers.len()
    }

    /// The line of Python that loads it.
    pub(super) fn python(&self, out: &Path) -> String {
        let path = serde_json::Value::from(out.display().to_string());
        let loss = self.loss();
        format!(
            "utils.restart_from_checkpoint({path}, run_variables={{\"epoch\": 0}}, student=student, \
             teacher=teacher, optimizer=optimizer, {loss}={loss})"
        )
    }

    fn loss(&self) -> &'static str {
        if self.target == Target::Ibot { "ibot_loss" } else { "dino_loss" }
    }

    /// Whether the target has this tensor of ours.
    fn has(&self, name: &str) -> bool {
        self.target == Target::Ibot || !name.starts_with("head.last_layer2.")
    }

    fn place_networks(&mut self, student: &Network, teacher: &Network, shares_head: bool) {
        let is_doubled = shares_head && self.target == Target::Ibot;
        let mut place = |network: &Network, prefix: &str, stored: fn(String, usize) -> Stored| {
            let mut named = Vec::new();
            for (name, shape) in network.tensors() {
                if !self.has(&name) {
                    continue;
                }
                let storage = self.storages.len();
                self.storages.push(stored(name.clone(), shape.iter().product()));
                named.push(Named { name: format!("{prefix}{name}"), shape, storage });
            }
            if is_doubled {
                // iBOT saves a shared last layer under two names
                let second = named.iter().filter(|tensor| tensor.name.contains(".last_layer."));
                let second = second.map(|Named { name, shape, storage }| Named {
                    name: name.replace(".last_layer.", ".last_layer2."),
                    shape: shape.clone(),
                    storage: *storage,
                });
                let second: Vec<_> = second.collect();
                named.extend(second);
            }
            named
        };
        let student = place(student, "module.", Stored::Student);
        let teacher = place(teacher, "", Stored::Teacher);
        (self.student_names, self.teacher_names) = (student, teacher);
    }

    fn place_centers(&mut self) {
        let Source { archive, checkpoint, run, .. } = self.source;
        let centering = run.as_ref().map(|run| run.config.objective.centering());
        if let Some(centering) = centering.filter(|centering| *centering != Centering::Logit) {
            let instead = match centering {
                Centering::Sinkhorn => "balances batches by Sinkhorn",
                _ => "centers probabilities",
            };
            return self.notes.push(format!(
                "not written: the center, because this run {instead}, and the project centers logits"
            ));
        }
        let mut wanted = vec![("center", checkpoint.center.as_ref())];
        if self.target == Target::Ibot {
            wanted.push(("center2", checkpoint.patch_center.as_ref()));
        }
        for (name, found) in wanted {
            let Some(tensor) = found.and_then(|found| archive.tensor(found)) else {
                self.notes
                    .push(format!("not written: `{name}`, which the checkpoint does not have"));
                continue;
            };
            let ones = if name == "center" { 1 } else { 2 };
            let shape = [vec![1; ones], vec![tensor.len()]].concat();
            let storage = self.storages.len();
            self.storages.push(Stored::Other(tensor.clone()));
            self.centers.push(Named { name: name.to_owned(), shape, storage });
        }
    }

    fn place_epoch(&mut self) {
        let Some(Run { config, state }) = &self.source.run else {
            self.epoch = self.source.checkpoint.epoch;
            return;
        };
        let count = state.extra.get("images").and_then(|images| images["count"].as_u64());
        let horizon = count.and_then(|count| config.optim.horizon(count as usize));
        let Some(steps) = horizon.map(|horizon| horizon.steps_per_epoch.max(1)) else {
            return self
                .notes
                .push("not written: the epoch, which the checkpoint does not say".to_owned());
        };
        self.epoch = Some((state.step / steps) as i64);
        let rest = state.step % steps;
        if rest > 0 {
            let (epoch, step) = (state.step / steps, state.step);
            self.notes.push(format!(
                "the run is at step {step}, inside an epoch of {steps} steps: the project goes on after {epoch} \
                 whole epochs"
            ));
        }
    }

    fn place_optimizer(&mut self, network: &Network) {
        let Some(Run { config, state }) = &self.source.run else {
            let note =
                "not written: the optimizer, which is converted from runs of this program alone";
            return self.notes.push(note.to_owned());
        };
        let learns_norms = config.objective.prototype_norm() != PrototypeNorm::L2;
        if learns_norms && !config.optim.decay_norms {
            let note = "not written: the optimizer, because the project decays prototypes' norms, and this run \
                        (`optim.decay_norms = false`) does not";
            return self.notes.push(note.to_owned());
        }
        let groups = groups_of_adamw(network, learns_norms);
        let (mut states, mut group_objects, mut first) = (Vec::new(), Vec::new(), 0);
        for (group, decay) in groups.into_iter().zip([config.optim.weight_decay, 0.0]) {
            let members: Vec<_> =
                group.into_iter().filter(|member| self.has(&member.name)).collect();
            let numbers = first..first + members.len();
            for (number, member) in numbers.clone().zip(&members) {
                let updates = state.optimizer_steps.get(&member.name).copied().unwrap_or(0);
                // PyTorch has no state for what was frozen so far
                if updates > 0 {
                    let entry = self.state_of(&member.name, &member.shape, updates);
                    states.push((Object::Int(number as i64), entry));
                }
            }
            group_objects.push(group_object(&config.optim, decay, numbers.clone()));
            first = numbers.end;
        }
        let groups = Object::List(group_objects);
        self.optimizer =
            Some(Object::dict([("state", Object::Dict(states)), ("param_groups", groups)]));
    }

    /// A parameter's part of the optimizer's state.
    fn state_of(&mut self, name: &str, shape: &[usize], updates: u64) -> Object {
        let archive = &self.source.archive;
        let mut add = |stored, shape: &[usize]| {
            let storage = self.storages.len();
            self.storages.push(stored);
            Object::Tensor { storage, dtype: Dtype::F32, shape: shape.to_vec() }
        };
        let mut entries = vec![("step", add(Stored::Steps(updates), &[]))];
        for moment in ["exp_avg", "exp_avg_sq"] {
            if let Some(tensor) = archive.tensor(&format!("{moment}.{name}")) {
                entries.push((moment, add(Stored::Other(tensor.clone()), shape)));
            }
        }
        Object::dict(entries)
    }

    fn note_what_is_missing(&mut self, shares_head: bool) {
        if self.target == Target::Dino {
            let weights = &self.source.checkpoint.student;
            let has =
                |name: &str| weights.as_ref().is_some_and(|weights| weights.shape(name).is_some());
            if has("backbone.masked_embed") {
                self.notes
                    .push("not written: `masked_embed`, which dino has no place for".to_owned());
            }
            if !shares_head {
                let note = "not written: the prototypes of patches, which dino has no place for";
                self.notes.push(note.to_owned());
            }
        } else {
            let shared = if shares_head { "true" } else { "false" };
            self.notes.push(format!(
                "go on with `--shared_head {shared} --shared_head_teacher {shared}` in main_ibot.py"
            ));
        }
        let norm = self.source.run.as_ref().map(|run| run.config.objective.prototype_norm());
        if norm == Some(PrototypeNorm::Vmf) {
            self.notes.push(
                "the project scores prototypes without the normalizers of von Mises-Fisher distributions, so \
                 training that goes on there has another objective"
                    .to_owned(),
            );
        }
    }

    /// The content of the pickle, with weights of this type.
    pub(super) fn object(&self, dtype: Dtype) -> Object {
        let tensors = |named: &[Named], dtype| {
            Object::dict(named.iter().map(|Named { name, shape, storage }| {
                let tensor = Object::Tensor { storage: *storage, dtype, shape: shape.clone() };
                (name.as_str(), tensor)
            }))
        };
        let mut entries = vec![
            ("student", tensors(&self.student_names, dtype)),
            ("teacher", tensors(&self.teacher_names, dtype)),
        ];
        entries.extend(self.optimizer.clone().map(|optimizer| ("optimizer", optimizer)));
        entries.extend(self.epoch.map(|epoch| ("epoch", Object::Int(epoch))));
        if !self.centers.is_empty() {
            entries.push((self.loss(), tensors(&self.centers, Dtype::F32)));
        }
        Object::dict(entries)
    }

    /// The storages, with weights of this type.
    pub(super) fn storages(&self, dtype: Dtype) -> Vec<StorageInfo> {
        let info = |stored: &Stored| match stored {
            Stored::Student(_, len) | Stored::Teacher(_, len) => StorageInfo { dtype, len: *len },
            Stored::Other(tensor) => StorageInfo { dtype: Dtype::F32, len: tensor.len() },
            Stored::Steps(_) => StorageInfo { dtype: Dtype::F32, len: 1 },
        };
        self.storages.iter().map(info).collect()
    }

    /// A storage's name in messages, its values, and whether they are weights.
    pub(super) fn values(&self, storage: usize) -> Result<(String, Vec<f32>, bool)> {
        Ok(match &self.storages[storage] {
            Stored::Student(name, _) => (format!("student.{name}"), self.student.read(name)?, true),
            Stored::Teacher(name, _) => (format!("teacher.{name}"), self.teacher.read(name)?, true),
            Stored::Other(tensor) => {
                (tensor.name.clone(), self.source.archive.read_f32(tensor)?, false)
            }
            Stored::Steps(steps) => ("step".to_owned(), vec![*steps as f32], false),
        })
    }
}

/// The student's weights, and its network as the target has it.
fn student_of(
    source: &Source,
    target: Target,
) -> Result<(&dialect::Weights, Network), &'static str> {
    let checkpoint = &source.checkpoint;
    let student = checkpoint.student.as_ref().ok_or("no student beside the teacher")?;
    if checkpoint.network.head.is_none() {
        return Err("no heads");
    }
    if !student.differences().is_empty() {
        return Err("a student whose tensors do not fit the network");
    }
    let is_ibot = target == Target::Ibot;
    if is_ibot && student.shape("backbone.masked_embed").is_none() {
        return Err("no token for masked patches, because its method does not mask");
    }
    Ok((student, Network { mask_token: is_ibot, ..checkpoint.network.clone() }))
}

/// A group of `torch.optim.AdamW`. The projects set the learning rate and the weight decay anew in every step.
fn group_object(optim: &Optim, weight_decay: f64, params: std::ops::Range<usize>) -> Object {
    let [first, second] = optim.betas.map(Object::Float);
    Object::dict([
        ("lr", Object::Float(optim.peak_lr())),
        ("betas", Object::Tuple(vec![first, second])),
        ("eps", Object::Float(optim.eps)),
        ("weight_decay", Object::Float(weight_decay)),
        ("amsgrad", Object::Bool(false)),
        ("maximize", Object::Bool(false)),
        ("foreach", Object::None),
        ("capturable", Object::Bool(false)),
        ("differentiable", Object::Bool(false)),
        ("fused", Object::None),
        ("decoupled_weight_decay", Object::Bool(true)),
        ("params", Object::List(params.map(|number| Object::Int(number as i64)).collect())),
    ])
}
