//! Files of features: the same values in every format, and the same bytes after a stop.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use engine::Params;
use features::{Column, Error, Export, Exported, Measure};
use multicrop::augment::normalize::{IMAGENET_MEAN, IMAGENET_STD};
use probe::analysis::assignment::Components;
use probe::analysis::membership::Members;
use probe::{Encoder, Kind, Pass, Preprocess, Progress, Subset, Views, preprocess};
use safetensors::SafeTensors;
use vit::{HeadShape, Network, VitShape, init};

const IMAGES: usize = 70;

struct World {
    network: Network,
    params: Params,
    preprocess: Preprocess,
    images: Subset,
}

impl World {
    fn new() -> Self {
        let shape = VitShape {
            embed_dim: 16,
            depth: 2,
            heads: 2,
            mlp_hidden: 32,
            patch_size: 8,
            image_size: 32,
            registers: 2,
            ..VitShape::default()
        };
        let head = HeadShape {
            embed_dim: 16,
            hidden_dim: 24,
            bottleneck_dim: 8,
            prototypes: 12,
            ..HeadShape::default()
        };
        let network = Network::new(&shape, &head);
        let params = init::draw(&network, 3, 0.2);
        let dataset = multicrop::open("shapes:test").expect("the built-in images");
        let settings = preprocess::Settings {
            resize: None,
            crop: Some(32),
            patch_size: 8,
            mean: IMAGENET_MEAN.to_vec(),
            std: IMAGENET_STD.to_vec(),
            decode: multicrop::decode::Options::default(),
            batch_size: 16,
            strict: false,
        };
        let preprocess = Preprocess::new(settings, dataset.as_ref()).expect("a preprocess");
        let images = Subset::new(Arc::clone(&dataset), Some(IMAGES), 0);
        Self { network, params, preprocess, images }
    }

    /// Exports these kinds; stops after `stop` batches.
    fn export(
        &self,
        kinds: &[(&str, Kind)],
        checkpoint: &str,
        out: &Path,
        stop: usize,
    ) -> Result<Exported, Error> {
        let source = Encoder { name: "teacher", network: &self.network, params: &self.params };
        let column =
            |(name, kind): &(&str, Kind)| Column::new(name, *kind, &source, &self.preprocess);
        let columns: Vec<Column> = kinds.iter().map(column).collect();
        self.export_columns(&columns, checkpoint, out, stop)
    }

    fn export_columns(
        &self,
        columns: &[Column],
        checkpoint: &str,
        out: &Path,
        stop: usize,
    ) -> Result<Exported, Error> {
        let mut batches = 0;
        self.export_with(columns, checkpoint, out, &mut || {
            batches += 1;
            if batches >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// The same, with something to do after each batch.
    fn export_with(
        &self,
        columns: &[Column],
        checkpoint: &str,
        out: &Path,
        after_batch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Exported, Error> {
        let source = Encoder { name: "teacher", network: &self.network, params: &self.params };
        let export = Export {
            images: &self.images,
            preprocess: &self.preprocess,
            source: &source,
            mixture: Some(&self.components()),
            columns,
            description: &[("checkpoint".to_owned(), checkpoint.to_owned())],
            out,
        };
        export.run(&mut |_, _| after_batch())
    }

    fn components(&self) -> Components {
        let prototypes = self.network.head.prototypes;
        let [g, v] = [prototypes.g, prototypes.v].map(|param| self.params.view(param));
        Components::new(g.host(), v.host(), 0.07, vec![0.0; prototypes.count])
    }

    /// The features that a pass gives, one kind at a time.
    fn expected(&self, kind: Kind) -> Vec<f32> {
        let source = Encoder { name: "teacher", network: &self.network, params: &self.params };
        let pass =
            Pass { images: &self.images, preprocess: &self.preprocess, views: Views::Square };
        let mut values = Vec::new();
        let mut report = |_: usize, _: usize| ControlFlow::Continue(());
        let progress = &mut Progress::new(IMAGES, &mut report);
        let visit = &mut |chunk: probe::Chunk<'_>| values.extend_from_slice(chunk.rows);
        pass.for_each_batch(&[&source], &[kind], progress, visit).expect("a pass");
        values
    }
}

const ALL: [(&str, Kind); 6] = [
    ("cls", Kind::Cls),
    ("mean", Kind::Mean),
    ("patches", Kind::Patches),
    ("last-2", Kind::LastCls(2)),
    ("head", Kind::Bottleneck),
    ("head-patches", Kind::PatchBottleneck),
];

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

#[test]
fn a_safetensors_file_has_all_columns_and_labels() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a folder"));
    let out = folder.path().join("all.safetensors");
    let exported = world.export(&ALL, "a", &out, usize::MAX).expect("an export");
    assert_eq!((exported.images, exported.left_out, exported.continued_at), (IMAGES, 0, 0));
    let bytes = fs::read(&out).expect("the file");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let shapes: BTreeMap<_, _> =
        file.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec())).collect();
    let expected = [
        ("cls", vec![IMAGES, 16]),
        ("head", vec![IMAGES, 8]),
        ("head-patches", vec![IMAGES, 16, 8]),
        ("labels", vec![IMAGES]),
        ("last-2", vec![IMAGES, 32]),
        ("mean", vec![IMAGES, 16]),
        ("patches", vec![IMAGES, 16, 16]),
    ];
    assert_eq!(shapes, expected.map(|(name, shape)| (name.to_owned(), shape)).into());
    for (name, kind) in ALL {
        let found = floats(file.tensor(name).expect("a column").data());
        let expected = world.expected(kind);
        assert_eq!(found.len(), expected.len(), "{name}");
        // Columns share one forward pass, so they may differ from a pass of their own in the last bits.
        let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{name}");
    }
    let patches = floats(file.tensor("patches").expect("patches").data());
    let mean = floats(file.tensor("mean").expect("means").data());
    for (image, mean) in mean.chunks_exact(16).enumerate() {
        for (j, mean) in mean.iter().enumerate() {
            let sum: f32 = (0..16).map(|patch| patches[(image * 16 + patch) * 16 + j]).sum();
            assert!((sum / 16.0 - mean).abs() < 1e-5, "image {image}");
        }
    }
    let labels = file.tensor("labels").expect("labels").data().to_vec();
    let dataset = world.images.dataset();
    for (row, &place) in world.images.indices().iter().enumerate() {
        let label = i64::from_le_bytes(labels[row * 8..][..8].try_into().expect("eight bytes"));
        assert_eq!(Some(label), dataset.label(place).map(i64::from));
    }
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
    assert_eq!(header.metadata().as_ref().map(|map| map["checkpoint"].as_str()), Some("a"));
    let table = fs::read_to_string(folder.path().join("all.csv")).expect("a table");
    let first = world.images.indices()[0];
    let class = &dataset.classes()[dataset.label(first).expect("a label") as usize];
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("name,label,class"));
    // The name has a comma, so the table quotes it.
    let (name, label) = (dataset.name(first), dataset.label(first).expect("a label"));
    assert_eq!(lines.next(), Some(format!("\"{name}\",{label},{class}").as_str()));
    assert_eq!(lines.count(), IMAGES - 1);
}

#[test]
fn columns_of_the_mixture_are_about_the_head_s_vectors() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a folder"));
    let columns = Measure::ALL.map(Column::of_mixture);
    let [out, stopped] = ["a.safetensors", "b.safetensors"].map(|name| folder.path().join(name));
    world.export_columns(&columns, "a", &out, usize::MAX).expect("an export");
    world.export_columns(&columns, "a", &stopped, 2).expect_err("a stop");
    world.export_columns(&columns, "a", &stopped, usize::MAX).expect("an export");
    let bytes = fs::read(&out).expect("the file");
    assert!(bytes == fs::read(&stopped).expect("the file"), "after a stop as without one");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let components = world.components();
    let expected = Members::new(&components).of(&world.expected(Kind::Bottleneck));
    assert_eq!(expected.len(), IMAGES);
    let words = |name| {
        let tensor = file.tensor(name).expect("a column");
        assert_eq!(tensor.shape(), [IMAGES]);
        tensor.data().as_chunks::<4>().0
    };
    for (place, of) in expected.iter().enumerate() {
        assert_eq!(u32::from_le_bytes(words("component")[place]), of.component);
        for (name, value) in [
            ("responsibility", of.responsibility),
            ("entropy", of.entropy),
            ("log_likelihood", of.log_likelihood),
        ] {
            assert_eq!(f32::from_le_bytes(words(name)[place]), value as f32, "{name}");
        }
    }
}

#[test]
fn an_export_that_was_stopped_continues_to_the_same_bytes() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a folder"));
    for extension in ["safetensors", "parquet", "npy"] {
        let kinds = if extension == "npy" { &ALL[..1] } else { &ALL[..3] };
        let [whole, stopped] =
            ["whole", "stopped"].map(|name| folder.path().join(name).with_extension(extension));
        world.export(kinds, "a", &whole, usize::MAX).expect("an export");
        let error = world.export(kinds, "a", &stopped, 2).expect_err("a stop");
        assert_eq!(error.to_string(), "stopped on request");
        assert!(!stopped.exists(), "no file before all rows are there");
        let exported = world.export(kinds, "a", &stopped, usize::MAX).expect("an export");
        assert_eq!((exported.continued_at, exported.images), (32, IMAGES));
        assert_eq!(fs::read(&whole).ok(), fs::read(&stopped).ok(), "{extension}");
        let partial = format!("{}.partial", stopped.display());
        assert!(!Path::new(&partial).exists(), "the partial export is removed");
    }
}

#[test]
fn a_file_is_written_by_one_process_from_the_first_row_on() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("a.npy");
    let source = Encoder { name: "teacher", network: &world.network, params: &world.params };
    let columns = [Column::new("cls", Kind::Cls, &source, &world.preprocess)];
    // What a process that is killed leaves after its first batch.
    let killed = folder.path().join("killed.npy");
    let mut batches = 0;
    let written = world.export_with(&columns, "runs/a", &out, &mut || {
        batches += 1;
        if batches == 1 {
            let refused = world.export_columns(&columns, "runs/b", &out, usize::MAX);
            let refused = refused.expect_err("a second process").to_string();
            assert!(refused.starts_with("another process writes"), "{refused}");
            let [from, to] = ["a.npy.partial", "killed.npy.partial"].map(|n| folder.path().join(n));
            fs::create_dir(&to).expect("a folder");
            for name in ["0.f32", "state.json"] {
                fs::copy(from.join(name), to.join(name)).expect("a copy");
            }
        }
        ControlFlow::Continue(())
    });
    written.expect("the first process");
    assert!(batches > 2 && !folder.path().join("a.npy.partial").exists());
    let other = world.export_columns(&columns, "runs/b", &killed, usize::MAX);
    assert!(matches!(other, Err(Error::OtherExport { .. })), "{other:?}");
    world.export_columns(&columns, "runs/a", &killed, usize::MAX).expect("the same export");
    assert_eq!(fs::read(&killed).expect("a file"), fs::read(&out).expect("a file"));
}

#[test]
fn what_cannot_be_written_is_refused_in_a_sentence() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a folder"));
    let path = |name: &str| folder.path().join(name);
    let refused = |kinds: &[(&str, Kind)], checkpoint: &str, name: &str| {
        let error = world.export(kinds, checkpoint, &path(name), 1).expect_err("an error");
        error.to_string()
    };
    assert!(refused(&ALL[..1], "a", "f.bin").contains("must end in .npy"));
    assert!(refused(&ALL[..2], "a", "f.npy").contains("holds one kind of features"));
    assert_eq!(refused(&ALL[..1], "a", "f.npy"), "stopped on request");
    let other = refused(&ALL[..1], "b", "f.npy");
    assert!(other.contains("with checkpoint `a` instead of `b`"), "{other}");
    assert!(refused(&ALL[1..2], "a", "f.npy").contains("of other features"));
    fs::write(path("f.npy.partial/state.json"), "{").expect("a damaged file");
    assert!(refused(&ALL[..1], "a", "f.npy").contains("is damaged"));
    fs::write(path("g.npy"), "").expect("a file");
    assert!(refused(&ALL[..1], "a", "g.npy").contains("exists already"));
    // Nor is a file of the user replaced, such as the list of the images.
    fs::write(path("h.csv"), "path,label").expect("a file");
    for name in ["h.npy", "h.safetensors"] {
        let table = refused(&ALL[..1], "a", name);
        assert!(table.contains("h.csv` exists already, is not of these images"), "{table}");
        assert!(!path(name).exists() && !path(&format!("{name}.partial")).exists());
    }
    assert_eq!(fs::read_to_string(path("h.csv")).expect("a file"), "path,label");
    // What lies in the folder of the export and is not of it stays.
    fs::create_dir(path("i.npy.partial")).expect("a folder");
    fs::write(path("i.npy.partial/mine.txt"), "mine").expect("a file");
    world.export(&ALL[..1], "a", &path("i.npy"), usize::MAX).expect("an export");
    assert!(path("i.npy.partial/mine.txt").exists() && !path("i.npy.partial/state.json").exists());
}
