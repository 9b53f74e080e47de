// GELU; formulas in `gelu.rs`. Each thread computes four consecutive values.
//
//   exact, form 0    y = x Φ(x)      dx = dy (Φ(x) + x φ(x))
//   tanh,  form 1    y = x σ(2u)     dx = dy (s + 2 x s (1 - s) u')
//
// Φ uses `erff` of the device library (2 ulp) and φ its `expf` (2 ulp), not the CPU's polynomials.
// Both are within 2e-7 of the definition.
#include "device.cuh"

__device__ __forceinline__ float normal_cdf(float x) { return fmaf(0.5f, erff(x * 0.70710678f), 0.5f); }
__device__ __forceinline__ float normal_pdf(float x) { return 0.39894228f * expf(-0.5f * x * x); }
// σ(2u) of the tanh form. √(2/π), and that times 0.044715.
__device__ __forceinline__ float tanh_gate(float x) {
  float u = x * fmaf(x * x, 0.035677407f, 0.79788456f);
  return 1.0f / (1.0f + expf(-2.0f * u));
}
__device__ __forceinline__ float tanh_slope(float x) {
  float s = tanh_gate(x);
  return fmaf(2.0f * x * s * (1.0f - s), fmaf(x * x, 3.0f * 0.035677407f, 0.79788456f), s);
}
__device__ __forceinline__ float gelu(float x, unsigned form) { return x * (form ? tanh_gate(x) : normal_cdf(x)); }
__device__ __forceinline__ float gelu_slope(float x, unsigned form) {
  return form ? tanh_slope(x) : fmaf(x, normal_pdf(x), normal_cdf(x));
}

// The first of the four values of this thread.
__device__ __forceinline__ size_t first_value() { return 4 * ((size_t)blockIdx.x * blockDim.x + threadIdx.x); }

__device__ __forceinline__ Four<float> gelu_of_four(Four<float> x, unsigned form) {
#pragma unroll
  for (int k = 0; k < 4; k++) x.at[k] = gelu(x.at[k], form);
  return x;
}

__device__ __forceinline__ Four<float> slope_times_four(Four<float> x, Four<float> dy, unsigned form) {
#pragma unroll
  for (int k = 0; k < 4; k++) dy.at[k] *= gelu_slope(x.at[k], form);
  return dy;
}

extern "C" __global__ void gelu_forward(const float* __restrict__ x, float* __restrict__ y, size_t len, unsigned form) {
  size_t i = first_value();
  if (i < len) store_four(y, i, len, gelu_of_four(load_four(x, i, len), form));
}

// `y`, and `x` rounded to bf16 for the backward pass.
extern "C" __global__ void gelu_forward_save_bf16(const float* __restrict__ x, float* __restrict__ y,
                                                  bf16* __restrict__ saved, size_t len, unsigned form) {
  size_t i = first_value();
  if (i >= len) return;
  Four<float> values = load_four(x, i, len);
  Four<bf16> rounded;
#pragma unroll
  for (int k = 0; k < 4; k++) rounded.at[k] = round_to_bf16(values.at[k]);
  store_four(saved, i, len, rounded);
  store_four(y, i, len, gelu_of_four(values, form));
}

// `dx` in place of `dy`.
template <class T> __device__ __forceinline__ void backward(const T* x, float* dy, size_t len, unsigned form) {
  size_t i = first_value();
  if (i < len) store_four(dy, i, len, slope_times_four(load_four(x, i, len), load_four(dy, i, len), form));
}

extern "C" __global__ void gelu_backward_f32(const float* __restrict__ x, float* __restrict__ dy, size_t len, unsigned form) {
  backward(x, dy, len, form);
}

extern "C" __global__ void gelu_backward_bf16(const bf16* __restrict__ x, float* __restrict__ dy, size_t len, unsigned form) {
  backward(x, dy, len, form);
}

// `y` again, and `dx` in place of `dy`, in one pass over memory. `y` may be `x`: a thread has read its
// values before it writes them.
template <class T> __device__ __forceinline__ void recompute_and_backward(const T* x, float* dy, float* y, size_t len, unsigned form) {
  size_t i = first_value();
  if (i >= len) return;
  Four<float> values = load_four(x, i, len);
  store_four(dy, i, len, slope_times_four(values, load_four(dy, i, len), form));
  store_four(y, i, len, gelu_of_four(values, form));
}

extern "C" __global__ void gelu_recompute_and_backward_f32(const float* x, float* dy, float* y, size_t len, unsigned form) {
  recompute_and_backward(x, dy, y, len, form);
}

extern "C" __global__ void gelu_recompute_and_backward_bf16(const bf16* x, float* dy, float* y, size_t len, unsigned form) {
  recompute_and_backward(x, dy, y, len, form);
}
