// Kernels with one mistake each: what the emulation must find.
#include "device.cuh"

// Each thread reads what another one wrote, without a barrier.
extern "C" __global__ void no_barrier(float* y) {
  DYNAMIC_SHARED(float, values);
  values[threadIdx.x] = (float)threadIdx.x;
  y[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

extern "C" __global__ void reads_shared_memory_that_nothing_wrote(float* y) {
  DYNAMIC_SHARED(float, values);
  y[threadIdx.x] = values[threadIdx.x];
}

extern "C" __global__ void writes_past_shared_memory(float* y) {
  DYNAMIC_SHARED(float, values);
  values[threadIdx.x + 1] = y[threadIdx.x];
}

extern "C" __global__ void writes_past_the_end(float* y) { y[threadIdx.x + 1] = 1.0f; }

extern "C" __global__ void half_a_block_at_a_barrier(float* y) {
  if (threadIdx.x < WARP) {
    __syncthreads();
    y[threadIdx.x] = 1.0f;
  } else {
    y[threadIdx.x] = warp_sum(threadIdx.x % 2 == 0 ? 1.0f : 0.0f);
    if (threadIdx.x % 2 == 0) y[threadIdx.x] = warp_sum(1.0f);
  }
}

// No mistake: the sum over a block of two dimensions, with a barrier.
extern "C" __global__ void block_sums(const float* x, float* y) {
  DYNAMIC_SHARED(float, sums);
  unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  unsigned block = blockIdx.y * gridDim.x + blockIdx.x;
  float sum = warp_sum(x[block * blockDim.x * blockDim.y + thread]);
  if (thread % WARP == 0) sums[thread / WARP] = sum;
  __syncthreads();
  if (thread == 0) {
    for (unsigned warp = 1; warp < blockDim.x * blockDim.y / WARP; warp++) sum += sums[warp];
    y[block] = sum;
  }
}
