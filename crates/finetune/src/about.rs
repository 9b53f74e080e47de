//! What a saved network says about itself.

use interchange::About;
use interchange::dialect::View;
use multicrop::eval_view::EvalView;
use vit::{MlpKind, VitShape};

/// What tensors do not tell about a network.
pub(crate) fn about(shape: &VitShape, seen: &EvalView, source: String) -> About {
    let wide = |values: &[f32]| Some(values.iter().map(|&value| f64::from(value)).collect());
    About {
        program: concat!("dino-vmf ", env!("CARGO_PKG_VERSION")).to_owned(),
        // the name of this program's own layout, which readers know it by
        format: "safetensors".to_owned(),
        source,
        origin: "fine-tuned".to_owned(),
        weights: "model".to_owned(),
        heads: Some(shape.heads),
        image_size: Some(shape.image_size),
        norm_eps: shape.norm_eps,
        gelu_tanh: shape.mlp == MlpKind::GeluTanh,
        position_offset: shape.resampling.offset,
        position_antialias: shape.resampling.antialias,
        mean: wide(&seen.mean),
        std: wide(&seen.std),
        view: Some(View {
            resize: seen.resize.map(|side| side as usize),
            crop: seen.crop as usize,
        }),
    }
}
