// What the kernels share. NVRTC compiles it for GPUs; the host's C++ compiler, with `emulated/simt.h`
// included before it, for tests. Only builtin device functions are used, so NVRTC needs no include path.
#pragma once

#ifndef SIMT_HOST
// Shared memory of the block, as large as the launch says.
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#endif

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

// A bf16 value: the upper half of an f32.
struct bf16 {
  unsigned short bits;
};

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }

// To the nearest bf16, ties to even: the bits of the CPU's rounding, NaN included.
__device__ __forceinline__ bf16 round_to_bf16(float x) {
  unsigned bits = __float_as_uint(x);
  unsigned nearest = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
  // Rounding would turn some NaNs into infinities.
  unsigned quiet = bits >> 16 | 0x40u;
  return {(unsigned short)(x != x ? quiet : nearest)};
}

// The sum over the 32 lanes of a warp. Every lane gets the same bits: each step adds the same two values
// on both sides, and addition is commutative.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int distance = WARP / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(ALL_LANES, x, distance);
  return x;
}

// Four consecutive values, which a thread loads and stores in one access.
template <class T> struct alignas(4 * sizeof(T)) Four {
  T at[4];
};

// The four values from `first` on. Values past `len` read as zero. Tensors start at a multiple of 256
// bytes, so a whole access is aligned.
template <class T> __device__ __forceinline__ Four<float> load_four(const T* from, size_t first, size_t len) {
  Four<float> values;
  if (first + 4 <= len) {
    Four<T> loaded = *reinterpret_cast<const Four<T>*>(from + first);
#pragma unroll
    for (int k = 0; k < 4; k++) values.at[k] = widen(loaded.at[k]);
  } else {
#pragma unroll
    for (int k = 0; k < 4; k++) values.at[k] = first + k < len ? widen(from[first + k]) : 0.0f;
  }
  return values;
}

// Writes the four values from `first` on, except those past `len`.
template <class T> __device__ __forceinline__ void store_four(T* to, size_t first, size_t len, Four<T> values) {
  if (first + 4 <= len) {
    *reinterpret_cast<Four<T>*>(to + first) = values;
  } else {
#pragma unroll
    for (int k = 0; k < 4; k++)
      if (first + k < len) to[first + k] = values.at[k];
  }
}
