use super::*;
use crate::matrix::Matrix;

/// The vMF mixture of prototypes that have these norms and lie at these angles.
fn components(norms: &[f32], degrees: &[f32]) -> Components {
    let angles = degrees.iter().map(|degrees| degrees.to_radians());
    let v: Vec<f32> = angles.flat_map(|angle| [3.0 * angle.cos(), 3.0 * angle.sin()]).collect();
    let kappas: Vec<f64> = norms.iter().map(|norm| f64::from(norm.abs()) / 0.1).collect();
    let (mut offsets, mut slopes) = (vec![0.0; norms.len()], vec![0.0; norms.len()]);
    let normalizer = vmf::Normalizer::new(2, vmf::DebyeTerms::Exact);
    normalizer.fill(&kappas, &mut offsets, &mut slopes);
    Components::new(norms, &v, 0.1, offsets)
}

fn rows(degrees: &[f32]) -> Matrix {
    let row = |degrees: &f32| [degrees.to_radians().cos(), degrees.to_radians().sin()];
    Matrix::new(degrees.iter().flat_map(row).collect(), 2)
}

#[test]
fn components_are_counted_and_listed_by_mass() {
    // a negative length turns a prototype around; two are copies; the last one is far from all
    let components = components(&[1.0, -1.0, 1.0, 2.0], &[0.0, 270.0, 1.0, 200.0]);
    let assignments = components.assign(&rows(&[0.0, -3.0, 91.0, 80.0, 100.0]), 2);
    assert_eq!(assignments.assigned, [0, 0, 1, 1, 1]);
    let labels =
        Labels { labels: vec![0, 0, 1, 1, 0], correct: Some(vec![true, true, true, true, false]) };
    let found = Mixture::new(&components, &assignments, Some(&labels));
    assert_eq!((found.images, found.prototypes, found.in_use), (5, 4, 2));
    assert_eq!(found.unique.iter().map(|unique| unique.all).collect::<Vec<_>>(), [3, 3, 3]);
    assert_eq!(found.unique[0].in_use, 2);
    let first = &found.components[0];
    assert_eq!((first.prototype, first.images, first.label), (1, 3, Some(1)));
    assert_eq!(first.nearest, [2, 3]);
    assert!((first.purity.unwrap() - 2.0 / 3.0).abs() < 1e-12);
    assert!((found.kappa.all.max - 20.0).abs() < 1e-5 && !found.kappa.fixed);
    assert!((found.mass.shares.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    assert!(found.mass.unused > 0.0 && found.mass.unused < 0.5);
    let knn = found.accuracy_by_kappa.unwrap();
    assert_eq!((knn.accuracy, knn.groups.len(), knn.spearman), (80.0, 1, None));
    assert_eq!(found.labels.unwrap().purity, 0.8);
}

#[test]
fn information_is_the_difference_of_entropies() {
    let components = components(&[3.0, 3.0, 3.0], &[0.0, 120.0, 240.0]);
    let assignments = components.assign(&rows(&[0.0, 120.0, 240.0]), 8);
    let found = Mixture::new(&components, &assignments, None);
    let Entropy { marginal, conditional, mutual_information, perplexity, .. } = found.entropy;
    assert!((marginal - 3f64.ln()).abs() < 1e-6 && conditional < 1e-6);
    assert!((mutual_information - marginal).abs() < 1e-6 && (perplexity - 3.0).abs() < 1e-5);
    assert!(found.kappa.fixed && found.labels.is_none() && found.accuracy_by_kappa.is_none());
    assert_eq!(found.kappa.histogram.counts, [3]);
}

#[test]
fn one_image_and_one_component_are_enough() {
    let components = components(&[1.0], &[10.0]);
    let assignments = components.assign(&rows(&[0.0]), 8);
    let labels = Labels { labels: vec![4], correct: Some(vec![false]) };
    let found = Mixture::new(&components, &assignments, Some(&labels));
    assert_eq!((found.in_use, found.entropy.marginal, found.mass.gini), (1, 0.0, 0.0));
    assert_eq!((found.mass.largest, found.mass.top_percent), (1.0, 1.0));
    assert_eq!(found.components[0].nearest, [0]);
}

#[test]
fn rows_of_patches_are_found_in_their_images() {
    let components = components(&[1.0, 1.0], &[0.0, 90.0]);
    let assignments = components.assign(&rows(&[0.0, 90.0, 80.0, 10.0, 2.0, 89.0]), 2);
    let labels = Labels { labels: vec![1, 1, 1, 0, 0, 0], correct: None };
    let mut found = Mixture::new(&components, &assignments, Some(&labels));
    assert!(found.accuracy_by_kappa.is_none() && found.labels.is_some());
    let of = |found: &Mixture, prototype| {
        let mut components = found.components.iter();
        components.find(|component| component.prototype == prototype).unwrap().clone()
    };
    assert_eq!((of(&found, 0).nearest, of(&found, 0).accuracy), (vec![0, 4], None));
    // three patches of each of the images 7 and 9
    found.locate(&[7, 9], Some(3));
    assert_eq!((of(&found, 0).nearest, of(&found, 0).nearest_patches), (vec![7, 9], vec![0, 1]));
    assert_eq!((of(&found, 1).nearest, of(&found, 1).nearest_patches), (vec![7, 9], vec![1, 2]));
}
