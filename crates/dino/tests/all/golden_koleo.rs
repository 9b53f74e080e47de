//! The spread of prototypes against an f64 reference: value, neighbors, gradient.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::fixtures::fixture;
use crate::golden::size;
use engine::ops::koleo::{self, Form};
use engine::{ParamTable, Params, Role};

/// "loss 5e-6 relative, grad 1e-4 of the largest entry; shifted: leave the members of duplicate groups
/// out of the gradient comparison"
const LOSS: f64 = 5e-6;
const GRADIENT: f64 = 1e-4;

#[goldens::test(koleo)]
fn golden_spread_of_prototypes() {
    let fixture = fixture("koleo");
    for case in crate::golden::keys(&fixture.json["cases"]) {
        let world = &fixture.json["cases"][&case];
        let (shape, v) = fixture.f32(&format!("{case}/v"));
        let sign = format!("{case}/sign");
        let g = if fixture.has(&sign) { fixture.f32(&sign).1 } else { vec![1.0; shape[0]] };
        let groups = world["duplicates"].as_array().expect("a list of groups");
        let duplicates: BTreeSet<usize> =
            groups.iter().flat_map(|group| group.as_array().expect("a group")).map(size).collect();
        for (name, form) in [("plain", Form::Plain), ("shifted", Form::Shifted)] {
            if !fixture.has(&format!("{case}/{name}/loss")) {
                continue;
            }
            let mut table = ParamTable::default();
            let g_param = table.add("g", &[g.len()], Role::PrototypeNorm);
            let v_param = table.add("v", &shape, Role::Prototype);
            let mut params = Params::zeros(Arc::new(table));
            let mut grads = params.clone();
            params.view_mut(g_param).host_mut().copy_from_slice(&g);
            params.view_mut(v_param).host_mut().copy_from_slice(&v);
            let (loss, saved) = koleo::forward(&params, g_param, v_param, form);
            let expected = fixture.f64(&format!("{case}/{name}/loss")).1[0];
            assert!((loss - expected).abs() <= LOSS * expected.abs(), "{case}: {loss}, {expected}");
            let (_, neighbors) = fixture.usize(&format!("{case}/neighbour"));
            let found: Vec<usize> = saved.neighbors().iter().map(|&n| n as usize).collect();
            assert_eq!(found, neighbors, "{case}");
            koleo::backward(saved, 1.0, v_param, &mut grads);
            let dv = grads.view(v_param).host();
            let truth = fixture.f64(&format!("{case}/{name}/grad_v")).1;
            let scale = truth.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
            for (i, (dv, truth)) in dv.iter().zip(truth).enumerate() {
                if form == Form::Shifted && duplicates.contains(&(i / shape[1])) {
                    continue;
                }
                let error = (f64::from(*dv) - truth).abs();
                assert!(error <= GRADIENT * scale, "{case}/{name} {i}: {dv} for {truth}");
            }
        }
    }
}
