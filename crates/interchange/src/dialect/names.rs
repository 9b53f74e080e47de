//! From other programs' names to this program's.

/// What a tensor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A tensor of the network, by this program's name, or a part of it.
    Weight(String, Part),
    /// Something that the network does without, such as a classifier.
    SetAside(&'static str),
    /// No idea.
    Unknown,
}

/// Which part of a tensor it is. Hugging Face splits what others fuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// The first rows: queries, or the gate of a SwiGLU.
    First,
    /// The next rows: keys, or what the gate multiplies.
    Second,
    /// The last rows: values.
    Third,
}

/// What wrappers put before names: data parallelism, compilation, averages.
const WRAPPERS: [&str; 4] = ["module.", "_orig_mod.", "base_model.", "ema_model."];

/// What Hugging Face puts before the names of a backbone inside a larger model.
const MODELS: [&str; 4] = ["vit.", "dinov2.", "dinov2_with_registers.", "dinov3_vit."];

/// What a tensor of this name is.
pub(super) fn meaning(name: &str) -> Meaning {
    let mut name = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = rest;
    }
    if let Some(rest) = name.strip_prefix("backbone.") {
        return backbone(rest);
    }
    if let Some(rest) = name.strip_prefix("head.")
        && let Some(target) = head(rest)
    {
        return Meaning::Weight(format!("head.{target}"), Part::Whole);
    }
    let bare = MODELS.iter().find_map(|model| name.strip_prefix(model)).unwrap_or(name);
    backbone(bare)
}

fn backbone(name: &str) -> Meaning {
    let weight = |name: String, part| Meaning::Weight(format!("backbone.{name}"), part);
    if let Some(reason) = set_aside(name) {
        return Meaning::SetAside(reason);
    }
    if let Some((block, rest)) = block(name) {
        return match in_block(rest) {
            Some((rest, part)) => weight(format!("blocks.{block}.{rest}"), part),
            None => Meaning::Unknown,
        };
    }
    let target = match name {
        "cls_token" | "embeddings.cls_token" => "cls_token",
        "pos_embed" | "embeddings.position_embeddings" => "pos_embed",
        "masked_embed" | "mask_token" | "embeddings.mask_token" => "masked_embed",
        "register_tokens" | "reg_token" | "storage_tokens" | "embeddings.register_tokens" => {
            "register_tokens"
        }
        "rope_embed.periods" => "rope_embed.periods",
        "patch_embed.proj.weight"
        | "embeddings.patch_embeddings.projection.weight"
        | "embeddings.patch_embeddings.weight" => "patch_embed.proj.weight",
        "patch_embed.proj.bias"
        | "embeddings.patch_embeddings.projection.bias"
        | "embeddings.patch_embeddings.bias" => "patch_embed.proj.bias",
        "norm.weight" | "layernorm.weight" => "norm.weight",
        "norm.bias" | "layernorm.bias" => "norm.bias",
        _ => return Meaning::Unknown,
    };
    weight(target.to_owned(), Part::Whole)
}

/// Why a tensor is not part of the network, if it is one of those.
fn set_aside(name: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if matches!(name, "head.weight" | "head.bias" | "fc.weight" | "fc.bias")
        || starts(&["classifier.", "head_dist."])
    {
        Some("a classifier")
    } else if starts(&["pooler."]) {
        Some("a pooler")
    } else if starts(&["dino_head.", "ibot_head."]) {
        Some("heads of DINOv2")
    } else {
        None
    }
}

/// The block's number, and the name inside. DINOv2 may put blocks into chunks, but numbers them through.
fn block(name: &str) -> Option<(usize, &str)> {
    let prefixes = ["blocks.", "encoder.layer.", "model.layer.", "layer.", "layers."];
    let rest = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let number = |text: &str| text.parse::<usize>().ok().filter(|i| i.to_string() == text);
    let (first, rest) = rest.split_once('.')?;
    let block = number(first)?;
    match rest.split_once('.') {
        Some((second, inner)) if number(second).is_some() => Some((number(second)?, inner)),
        _ => Some((block, rest)),
    }
}

/// This program's name of a tensor in a block.
fn in_block(name: &str) -> Option<(String, Part)> {
    let whole = |name: &str| Some((name.to_owned(), Part::Whole));
    match name {
        "gamma_1" | "ls1.gamma" | "layer_scale1.lambda1" => return whole("gamma_1"),
        "gamma_2" | "ls2.gamma" | "layer_scale2.lambda1" => return whole("gamma_2"),
        _ => {}
    }
    let (layer, kind) = name.rsplit_once('.').filter(|(_, k)| matches!(*k, "weight" | "bias"))?;
    let (layer, part) = match layer {
        "norm1" | "layernorm_before" => ("norm1", Part::Whole),
        "norm2" | "layernorm_after" => ("norm2", Part::Whole),
        "attn.qkv" => ("attn.qkv", Part::Whole),
        "attention.attention.query" | "attention.q_proj" => ("attn.qkv", Part::First),
        "attention.attention.key" | "attention.k_proj" => ("attn.qkv", Part::Second),
        "attention.attention.value" | "attention.v_proj" => ("attn.qkv", Part::Third),
        "attn.proj" | "attention.output.dense" | "attention.o_proj" => ("attn.proj", Part::Whole),
        "mlp.fc1" | "intermediate.dense" | "mlp.up_proj" => ("mlp.fc1", Part::Whole),
        "mlp.fc2" | "output.dense" | "mlp.down_proj" => ("mlp.fc2", Part::Whole),
        "mlp.w12" | "mlp.weights_in" => ("mlp.w12", Part::Whole),
        "mlp.gate_proj" => ("mlp.w12", Part::First),
        "mlp.w3" | "mlp.weights_out" => ("mlp.w3", Part::Whole),
        _ => return None,
    };
    Some((format!("{layer}.{kind}"), part))
}

/// This program's name of a tensor in a projection head.
fn head(name: &str) -> Option<String> {
    for layer in ["last_layer", "last_layer2"] {
        let Some(rest) = name.strip_prefix(layer).and_then(|rest| rest.strip_prefix('.')) else {
            continue;
        };
        return match rest {
            "weight_g" | "parametrizations.weight.original0" => Some(format!("{layer}.weight_g")),
            "weight_v" | "parametrizations.weight.original1" => Some(format!("{layer}.weight_v")),
            _ => None,
        };
    }
    let is_mlp =
        ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias", "mlp.4.weight", "mlp.4.bias"];
    is_mlp.contains(&name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(name: &str) -> Option<String> {
        match meaning(name) {
            Meaning::Weight(name, _) => Some(name),
            _ => None,
        }
    }

    #[test]
    fn one_tensor_has_one_name_in_all_dialects() {
        let same = [
            "module.backbone.blocks.7.mlp.fc1.weight",
            "blocks.7.mlp.fc1.weight",
            "blocks.1.7.mlp.fc1.weight",
            "_orig_mod.blocks.7.mlp.fc1.weight",
            "vit.encoder.layer.7.intermediate.dense.weight",
            "encoder.layer.7.mlp.fc1.weight",
        ];
        for name in same {
            assert_eq!(weight(name).unwrap(), "backbone.blocks.7.mlp.fc1.weight", "{name}");
        }
    }

    #[test]
    fn the_parts_of_a_layer_have_one_name() {
        for (name, layer, part) in [
            ("encoder.layer.0.attention.attention.key.bias", "attn.qkv.bias", Part::Second),
            ("layers.0.attention.v_proj.bias", "attn.qkv.bias", Part::Third),
            ("encoder.layer.0.mlp.gate_proj.weight", "mlp.w12.weight", Part::First),
        ] {
            let target = format!("backbone.blocks.0.{layer}");
            assert_eq!(meaning(name), Meaning::Weight(target, part), "{name}");
        }
    }

    #[test]
    fn a_classifier_is_no_projection_head() {
        assert_eq!(meaning("head.weight"), Meaning::SetAside("a classifier"));
        assert_eq!(weight("module.head.mlp.0.weight").unwrap(), "head.mlp.0.weight");
        assert_eq!(meaning("head.mlp.1.running_mean"), Meaning::Unknown);
        assert_eq!(meaning("blocks.07.norm1.weight"), Meaning::Unknown);
    }
}
