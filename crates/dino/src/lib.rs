//! Self-distillation with vision transformers: DINO, iBOT, DINO-vMF: model, objective, training, evaluation.
