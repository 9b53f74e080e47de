//! L-BFGS: minimizes a smooth convex function.
//!
//! ```text
//! d = −B g        B: the inverse Hessian that agrees with the last m steps s and changes y of the gradient
//! x ← x + t d     t = 1, or smaller until f falls enough (Armijo)
//! ```
//!
//! The first guess of `B`, before the steps, is the caller's preconditioner, scaled by `s·y / y·B₀y`.
//! A convex function has `s·y ≥ 0`, so a step that falls needs no second Wolfe condition. Steps along which
//! the gradient does not change are not kept.

use std::collections::VecDeque;

use super::Tolerance;
use crate::error::Stopped;

/// Steps that are kept.
const STEPS: usize = 10;
/// Part of the fall that the slope promises, with which a step is taken.
const ARMIJO: f64 = 1e-4;
/// Shortest step, relative to the first one.
const SHORTEST: f64 = 1e-10;
/// Changes of the spread from which on the preconditioner is made again.
const DRIFT: f64 = 2.0;

/// A function's value at a point.
pub(super) struct Value {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    /// What the preconditioner depends on, see [`super`].
    pub(super) spread: f64,
}

/// When to end.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The gradient is small enough.
    pub(super) tolerance: Tolerance,
    /// The same, whatever the value: sums are not exact enough to go on.
    pub(super) single: f64,
    /// Iterations.
    pub(super) iterations: usize,
}

/// Where the search ended.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) value: f64,
    /// Largest entry of the gradient.
    pub(super) gradient: f64,
    pub(super) iterations: usize,
}

/// Solves `B₀⁻¹ x = g` in place.
pub(super) type Solver = Box<dyn Fn(&mut [f64])>;

/// The last steps.
#[derive(Default)]
pub(super) struct Memory {
    steps: VecDeque<Step>,
}

struct Step {
    s: Vec<f64>,
    y: Vec<f64>,
    /// `s · y`, above 0.
    product: f64,
}

/// Minimizes `value` from `x` on; `x` is the best point afterwards. `precondition` makes `B₀` for a spread.
pub(super) fn minimize(
    x: &mut Vec<f64>,
    memory: &mut Memory,
    value: &mut dyn FnMut(&[f64]) -> Value,
    precondition: &dyn Fn(f64) -> Solver,
    limits: Limits,
    go_on: &mut dyn FnMut() -> Result<(), Stopped>,
) -> Result<Ended, Stopped> {
    let mut at = value(x);
    let (mut spread, mut solve) = (at.spread, precondition(at.spread));
    let mut iterations = 0;
    let is_done =
        |at: &Value| largest(&at.gradient) <= limits.tolerance.at(at.value).max(limits.single);
    while !is_done(&at) && iterations < limits.iterations {
        go_on()?;
        if at.spread > DRIFT * spread || spread > DRIFT * at.spread {
            (spread, solve) = (at.spread, precondition(at.spread));
        }
        let direction = memory.direction(&at.gradient, &solve);
        let Some((next, there)) = search(x, &at, &direction, value) else { break };
        memory.push(difference(&next, x), difference(&there.gradient, &at.gradient));
        (*x, at) = (next, there);
        iterations += 1;
    }
    Ok(Ended { value: at.value, gradient: largest(&at.gradient), iterations })
}

/// The first point on the line from `x` that is low enough. `None` if rounding hides any fall.
fn search(
    x: &[f64],
    at: &Value,
    direction: &[f64],
    value: &mut dyn FnMut(&[f64]) -> Value,
) -> Option<(Vec<f64>, Value)> {
    let slope = dot(&at.gradient, direction);
    if slope >= 0.0 {
        return None;
    }
    let mut t = 1.0;
    while t > SHORTEST {
        let next: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + t * d).collect();
        let there = value(&next);
        if there.value <= at.value + ARMIJO * t * slope {
            return Some((next, there));
        }
        // Near the optimum the fall of f is below its rounding, and that of the gradient is not.
        let is_flat = (there.value - at.value).abs() <= 1e-14 * at.value.abs();
        if is_flat && largest(&there.gradient) < 0.5 * largest(&at.gradient) {
            return Some((next, there));
        }
        // The minimum of the parabola through f(x), its slope and f(next).
        let parabola = -slope * t * t / (2.0 * (there.value - at.value - slope * t));
        t = if parabola.is_finite() { parabola.clamp(0.1 * t, 0.5 * t) } else { 0.1 * t };
    }
    None
}

impl Memory {
    /// `−B g`, by the two loops of Nocedal.
    fn direction(&self, gradient: &[f64], solve: &Solver) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(self.steps.len());
        for step in self.steps.iter().rev() {
            let alpha = dot(&step.s, &q) / step.product;
            add(&mut q, -alpha, &step.y);
            alphas.push(alpha);
        }
        solve(&mut q);
        if let Some(last) = self.steps.back() {
            let mut solved = last.y.clone();
            solve(&mut solved);
            let scale = last.product / dot(&last.y, &solved);
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for (step, alpha) in self.steps.iter().zip(alphas.into_iter().rev()) {
            let beta = dot(&step.y, &q) / step.product;
            add(&mut q, alpha - beta, &step.s);
        }
        q
    }

    fn push(&mut self, s: Vec<f64>, y: Vec<f64>) {
        let product = dot(&s, &y);
        if product <= 1e-12 * dot(&y, &y).sqrt() * dot(&s, &s).sqrt() {
            return;
        }
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(Step { s, y, product });
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(x: &mut [f64], scale: f64, y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += scale * y);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |most, x| x.abs().max(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quadratic of condition 100: without a preconditioner it takes long, with its Hessian one step.
    #[test]
    fn a_quadratic_is_minimized_with_and_without_its_hessian() {
        let scales: Vec<f64> = (0..20).map(|i| 10f64.powf(f64::from(i) * 2.0 / 19.0)).collect();
        let of = scales.clone();
        let mut value = move |x: &[f64]| {
            let gradient: Vec<f64> = x.iter().zip(&of).map(|(x, a)| a * (x - 1.0)).collect();
            let value = x.iter().zip(&of).map(|(x, a)| 0.5 * a * (x - 1.0).powi(2)).sum();
            Value { value, gradient, spread: 1.0 }
        };
        let tolerance = Tolerance::Absolute(1e-9);
        let limits = Limits { tolerance, single: 0.0, iterations: 500 };
        let exact = |_: f64| -> Solver {
            let scales = scales.clone();
            Box::new(move |g| g.iter_mut().zip(&scales).for_each(|(g, a)| *g /= a))
        };
        let none = |_: f64| -> Solver { Box::new(|_| ()) };
        let solvers: [(&dyn Fn(f64) -> Solver, usize); 2] = [(&exact, 1), (&none, 499)];
        for (solver, most) in solvers {
            let (mut x, mut memory) = (vec![0.0; 20], Memory::default());
            let ended =
                minimize(&mut x, &mut memory, &mut value, solver, limits, &mut || Ok(())).unwrap();
            assert!(ended.iterations <= most, "{} iterations", ended.iterations);
            assert!(x.iter().all(|x| (x - 1.0).abs() < 1e-8), "{x:?}");
        }
    }
}
