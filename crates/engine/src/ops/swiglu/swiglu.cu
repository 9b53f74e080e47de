// SwiGLU; formulas in `swiglu.rs`. Each thread computes one value of `y`, and the two of `dx` that belong to it.
//
//   y = a s ⊙ b,  s = σ(a)        da = dy b (s + a s (1 - s))        db = dy a s
#include "device.cuh"

__device__ __forceinline__ float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

// The value of `y` of this thread, and the place of its `a`; `b` lies `h` further.
__device__ __forceinline__ size_t value() { return (size_t)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ size_t gate(size_t i, size_t h) { return i / h * 2 * h + i % h; }

extern "C" __global__ void swiglu_forward(const float* __restrict__ x, float* __restrict__ y, size_t len, size_t h) {
  size_t i = value();
  if (i >= len) return;
  size_t at = gate(i, h);
  y[i] = x[at] * logistic(x[at]) * x[at + h];
}

// `dx` may be `x`: a thread has read its two values before it writes them.
template <class T>
__device__ __forceinline__ void backward(const T* x, const float* dy, float* y, float* dx, size_t len, size_t h) {
  size_t i = value();
  if (i >= len) return;
  size_t at = gate(i, h);
  float a = widen(x[at]), b = widen(x[at + h]);
  float s = logistic(a), gated = a * s;
  y[i] = gated * b;
  dx[at] = dy[i] * b * fmaf(gated, 1.0f - s, s);
  dx[at + h] = dy[i] * gated;
}

extern "C" __global__ void swiglu_backward_f32(const float* x, const float* dy, float* y, float* dx, size_t len,
                                               size_t h) {
  backward(x, dy, y, dx, len, h);
}

extern "C" __global__ void swiglu_backward_bf16(const bf16* x, const float* dy, float* y, float* dx, size_t len,
                                                size_t h) {
  backward(x, dy, y, dx, len, h);
}
