//! Names, `config.json` and `preprocessor_config.json` of the transformers library.
//!
//! The names are those of transformers 4 and of the hub, which transformers 5 reads too.

use serde_json::{Value, json};

use super::layout::{Layout, Values};
use super::{heads, hidden};
use crate::dialect::{Gelu, Mlp, Network};

/// Largest `mlp_ratio` that is looked for.
const MAX_RATIO: usize = 64;

/// Means and standard deviations of ImageNet, which DINO normalizes images with.
const IMAGENET: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// A class of the transformers library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// `ViTModel`.
    Vit,
    /// `Dinov2Model`: with layer scale, with SwiGLU if wanted.
    Dinov2,
    /// `Dinov2WithRegistersModel`.
    Dinov2WithRegisters,
}

impl Model {
    /// The class that holds a network.
    pub fn of(network: &Network) -> Self {
        let is_swiglu = matches!(network.mlp, Mlp::SwiGlu { .. });
        match network.registers {
            0 if network.layer_scale || is_swiglu => Self::Dinov2,
            0 => Self::Vit,
            _ => Self::Dinov2WithRegisters,
        }
    }

    /// Its name in Python.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vit => "ViTModel",
            Self::Dinov2 => "Dinov2Model",
            Self::Dinov2WithRegisters => "Dinov2WithRegistersModel",
        }
    }

    fn model_type(self) -> &'static str {
        match self {
            Self::Vit => "vit",
            Self::Dinov2 => "dinov2",
            Self::Dinov2WithRegisters => "dinov2_with_registers",
        }
    }

    /// The `mlp_ratio` from which `Dinov2Model` computes the width of the MLPs, if there is one.
    pub(super) fn mlp_ratio(self, network: &Network) -> Option<usize> {
        let width = |ratio: usize| {
            let full = network.embed_dim * ratio;
            match network.mlp {
                Mlp::Gelu { .. } => full,
                // two thirds of it, rounded up to a multiple of 8
                Mlp::SwiGlu { .. } => (full * 2 / 3).next_multiple_of(8),
            }
        };
        (1..=MAX_RATIO).find(|ratio| width(*ratio) == hidden(network))
    }
}

/// Places a tensor of the backbone; `bare` is its name without `backbone.`.
pub(super) fn place(layout: &mut Layout, network: &Network, bare: &str, shape: Vec<usize>) {
    let own = format!("backbone.{bare}");
    let model = Model::of(network);
    let name = match bare {
        "cls_token" => "embeddings.cls_token",
        "pos_embed" => "embeddings.position_embeddings",
        "register_tokens" => "embeddings.register_tokens",
        "patch_embed.proj.weight" => "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias" => "embeddings.patch_embeddings.projection.bias",
        "norm.weight" => "layernorm.weight",
        "norm.bias" => "layernorm.bias",
        // `AutoModel` makes a `ViTModel` without a mask token
        "masked_embed" if model == Model::Vit => return layout.left_out.push(own),
        "masked_embed" => "embeddings.mask_token",
        _ => return place_in_block(layout, network, bare, shape),
    };
    layout.whole(name, &own, shape);
}

fn place_in_block(layout: &mut Layout, network: &Network, bare: &str, shape: Vec<usize>) {
    let own = format!("backbone.{bare}");
    let Some((block, rest)) = bare.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'))
    else {
        return layout.left_out.push(own);
    };
    let (layer, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
    if layer == "attn.qkv" {
        let len = shape.iter().product::<usize>() / 3;
        let shape = [&[shape[0] / 3], &shape[1..]].concat();
        for (i, part) in ["query", "key", "value"].into_iter().enumerate() {
            let name = format!("encoder.layer.{block}.attention.attention.{part}.{kind}");
            layout.put(&name, shape.clone(), Values::Part(own.clone(), i * len..(i + 1) * len));
        }
        return;
    }
    let is_vit = Model::of(network) == Model::Vit;
    let layer = match (layer, rest) {
        (_, "gamma_1") => "layer_scale1.lambda1",
        (_, "gamma_2") => "layer_scale2.lambda1",
        ("norm1", _) if is_vit => "layernorm_before",
        ("norm2", _) if is_vit => "layernorm_after",
        ("attn.proj", _) => "attention.output.dense",
        ("mlp.fc1", _) if is_vit => "intermediate.dense",
        ("mlp.fc2", _) if is_vit => "output.dense",
        ("mlp.w12", _) => "mlp.weights_in",
        ("mlp.w3", _) => "mlp.weights_out",
        (layer, _) => layer,
    };
    let name = match kind {
        "" => format!("encoder.layer.{block}.{layer}"),
        kind => format!("encoder.layer.{block}.{layer}.{kind}"),
    };
    layout.whole(&name, &own, shape);
}

/// Adds what the class has beside the network, so that nothing in it stays random: values that change nothing.
pub(super) fn complete(layout: &mut Layout, network: &Network, model: Model) {
    let d = network.embed_dim;
    if model == Model::Vit {
        layout.put("pooler.dense.weight", vec![d, d], Values::Identity);
        layout.put("pooler.dense.bias", vec![d], Values::Zeros);
        layout.added.push("a pooler that returns the [CLS] token as it is".to_owned());
        return;
    }
    if !network.layer_scale {
        for block in 0..network.depth {
            for i in [1, 2] {
                let name = format!("encoder.layer.{block}.layer_scale{i}.lambda1");
                layout.put(&name, vec![d], Values::Ones);
            }
        }
        layout.added.push(format!("layer scale of ones, which `{}` always has", model.name()));
    }
    if !network.mask_token {
        layout.put("embeddings.mask_token", vec![1, d], Values::Zeros);
        layout
            .added
            .push("a mask token of zeros, which is used for masked images alone".to_owned());
    }
}

/// The content of `config.json`.
pub fn config(network: &Network, dtype: &str) -> Value {
    let model = Model::of(network);
    let activation = match network.mlp {
        Mlp::Gelu { gelu: Gelu::Tanh, .. } => "gelu_pytorch_tanh",
        _ => "gelu",
    };
    let mut config = json!({
        "architectures": [model.name()],
        "model_type": model.model_type(),
        "hidden_size": network.embed_dim,
        "num_hidden_layers": network.depth,
        "num_attention_heads": heads(network),
        "hidden_act": activation,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": network.norm_eps,
        "image_size": network.image_size(),
        "patch_size": network.patch_size,
        "num_channels": network.channels,
        "qkv_bias": true,
        "torch_dtype": dtype,
    });
    match model {
        Model::Vit => {
            config["intermediate_size"] = hidden(network).into();
            config["pooler_act"] = "linear".into();
            config["pooler_output_size"] = network.embed_dim.into();
        }
        Model::Dinov2 | Model::Dinov2WithRegisters => {
            config["mlp_ratio"] = model.mlp_ratio(network).into();
            config["use_swiglu_ffn"] = matches!(network.mlp, Mlp::SwiGlu { .. }).into();
            config["layerscale_value"] = 1.0.into();
            config["drop_path_rate"] = 0.0.into();
        }
    }
    if model == Model::Dinov2WithRegisters {
        config["num_register_tokens"] = network.registers.into();
    }
    config
}

/// The content of `preprocessor_config.json`: the shorter side becomes `resize` pixels, and the middle `crop` pixels
/// are cut out.
pub fn preprocessor(network: &Network, resize: usize, crop: usize) -> Value {
    let (mean, std) =
        network.pixels.clone().unwrap_or_else(|| (IMAGENET.0.to_vec(), IMAGENET.1.to_vec()));
    json!({
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": true,
        "do_resize": true,
        "size": { "shortest_edge": resize },
        "resample": 3,
        "do_center_crop": true,
        "crop_size": { "height": crop, "width": crop },
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": mean,
        "image_std": std,
    })
}
