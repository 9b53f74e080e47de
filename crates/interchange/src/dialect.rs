//! Which program wrote an archive, which network it holds, and this program's name for each tensor.
//!
//! | format | recognized by |
//! | --- | --- |
//! | this program's | `teacher.backbone.*` in safetensors |
//! | DINO, iBOT | dicts `teacher` and `student` with `backbone.*` and `head.*`; iBOT has `masked_embed` or `last_layer2` |
//! | DINOv2 | `ls1.gamma` and `mask_token`, or `register_tokens` |
//! | DINOv3 | rotary positions, `storage_tokens` |
//! | timm | `reg_token`, `head.weight`, `ls1.gamma` without `mask_token` |
//! | backbone | the names that DINO, iBOT and timm share |
//! | Hugging Face | `embeddings.*`, `encoder.layer.*` |
//!
//! Every tensor of the weights that are read is accounted for: it has a place in the network, it is set aside
//! with a reason (a classifier, say), or it is listed as unexpected.

mod format;
mod groups;
mod names;
mod network;
mod settings;
mod weights;

use crate::archive::Archive;
use crate::error::Error;
pub use format::Format;
use groups::{Group, groups};
pub use network::{Gelu, HeadNetwork, Heads, Mlp, Network, Positions, View};
pub use weights::{Differences, Weights};

/// What a caller decides.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which weights are read: `teacher`, `student`, `state_dict` and so on.
    pub key: Option<String>,
    /// Attention heads, which tensors do not tell.
    pub heads: Option<usize>,
}

/// A checkpoint of another program.
#[derive(Debug)]
pub struct Checkpoint {
    /// The program, or the naming.
    pub format: Format,
    /// Where the weights lie in the file; empty if they are all it has.
    pub key: String,
    /// The network.
    pub network: Network,
    /// The weights: the teacher's if there are several.
    pub weights: Weights,
    /// The student's weights, if the file has them and they are not the ones above.
    pub student: Option<Weights>,
    /// The tensor that is the center of \[CLS\] scores.
    pub center: Option<String>,
    /// The tensor that is the center of patch scores.
    pub patch_center: Option<String>,
    /// Finished epochs, if the file says so.
    pub epoch: Option<i64>,
    /// What else the file has: a description, and the number of tensors.
    pub unused: Vec<(String, usize)>,
}

/// The dicts that may hold weights, in the order in which they are looked for: the teacher before the student,
/// averages before the rest.
const KEYS: [&str; 10] = [
    "teacher",
    "target_encoder",
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model",
    "module",
    "student",
    "encoder",
    "",
];

/// Reads which network an archive holds. The tensors' values are not read.
///
/// # Errors
/// If it has no weights of a vision transformer, or none under the key that the caller names.
pub fn read(archive: &Archive, options: &Options) -> Result<Checkpoint, Error> {
    let groups = groups(archive);
    let chosen = choose(archive, &groups, options)?;
    let mut weights = Weights::new(&chosen.tensors);
    let format = Format::of(archive, &groups, chosen, &weights);
    let mut network = Network::of(archive, format, &weights, options.heads)
        .map_err(|found| Error::NoNetwork { path: archive.path().to_owned(), found })?;
    let student = groups.iter().find(|group| group.key == "student" && chosen.key != "student");
    let mut student = student.map(|group| Weights::new(&group.tensors));
    // iBOT's teacher sees all patches and has no token for masked ones; the student has
    network.mask_token |=
        student.as_ref().is_some_and(|s| s.shape("backbone.masked_embed").is_some());
    weights.check(&network);
    if let Some(student) = &mut student {
        student.check(&network);
    }
    let mut unused: Vec<_> = weights.set_aside().map(|(what, n)| (what.to_owned(), n)).collect();
    let center = |names: [&str; 3]| {
        let found = names.into_iter().find(|name| archive.tensor(name).is_some());
        found.map(str::to_owned)
    };
    let centers = (
        center(["dino_loss/center", "ibot_loss/center", "center"]),
        center(["ibot_loss/center2", "center_patch", "dino_loss/center2"]),
    );
    let is_read = |group: &&Group<'_>| group.key != chosen.key && group.key != "student";
    for group in groups.iter().filter(is_read) {
        let is_center =
            |name: &str| [&centers.0, &centers.1].into_iter().flatten().any(|c| c == name);
        let rest = group.tensors.iter().filter(|(_, tensor)| !is_center(&tensor.name)).count();
        if rest > 0 {
            unused.push((format!("`{}`", group.key), rest));
        }
    }
    let epoch = ["epoch", "iteration"].iter().find_map(|key| archive.plain(&[key])?.as_int());
    Ok(Checkpoint {
        format,
        key: chosen.key.clone(),
        network,
        weights,
        student,
        center: centers.0,
        patch_center: centers.1,
        epoch,
        unused,
    })
}

/// The group that holds the weights to read.
fn choose<'a, 'b>(
    archive: &Archive,
    groups: &'b [Group<'a>],
    options: &Options,
) -> Result<&'b Group<'a>, Error> {
    let is_network = |group: &&Group<'_>| Weights::new(&group.tensors).is_network();
    let found = match &options.key {
        Some(key) => groups.iter().find(|group| group.key == *key).filter(is_network),
        None => KEYS
            .iter()
            .find_map(|key| groups.iter().find(|group| group.key == *key).filter(is_network)),
    };
    found.ok_or_else(|| {
        let all: Vec<_> = groups
            .iter()
            .map(|group| format!("`{}` with {}", group.key, group.tensors.len()))
            .collect();
        let wanted = options.key.as_ref().map_or(String::new(), |key| format!(" under `{key}`"));
        let found = match archive.tensors() {
            [] => "it has no tensors".to_owned(),
            [first, ..] if groups.len() == 1 => {
                format!(
                    "none of its {} tensors{wanted}, such as `{}`, embeds patches",
                    archive.tensors().len(),
                    first.name
                )
            }
            _ => format!("no tensor{wanted} embeds patches; it has {} tensors", all.join(", ")),
        };
        Error::NoNetwork { path: archive.path().to_owned(), found }
    })
}

impl Checkpoint {
    /// Refuses weights with differences, but those that `ignore` names. A `*` at the end of a name stands for
    /// any rest.
    ///
    /// # Errors
    /// [`Error::Differs`].
    pub fn require_whole(&self, archive: &Archive, ignore: &[String]) -> Result<(), Error> {
        let mut differences = self.weights.differences().clone();
        differences.ignore(ignore);
        if differences.is_empty() {
            return Ok(());
        }
        let (path, format) = (archive.path().to_owned(), self.format.to_string());
        Err(Error::Differs { path, format, differences: Box::new(differences) })
    }
}
