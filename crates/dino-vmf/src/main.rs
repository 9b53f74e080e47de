//! The command `dino-vmf`.
fn main() {}
