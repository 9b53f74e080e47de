// Layer normalization over rows of `d` values; formulas in `layer_norm.rs`. `stats` is [rows, 2]: mean
// and 1 / standard deviation.
//
// One warp works on one row, for any `d`. It reads the row once for each of its passes; from the second
// pass on the row is in the L1 cache, so device memory is read once.
#include "device.cuh"

// The row of this warp; the block's warps take consecutive rows.
__device__ __forceinline__ size_t row_of_warp() { return (size_t)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP; }

__device__ __forceinline__ float normed(float x, float mean, float rstd) { return (x - mean) * rstd; }

// y = γ ⊙ x̂ + β for one row. Forward and apply both call it, so their bits are equal.
__device__ __forceinline__ void apply_to_row(const float* x, float mean, float rstd, const float* gamma,
                                             const float* beta, float* y, unsigned d) {
  for (unsigned j = threadIdx.x % WARP; j < d; j += WARP) y[j] = fmaf(normed(x[j], mean, rstd), gamma[j], beta[j]);
}

// `y` and the statistics.
extern "C" __global__ void layer_norm_forward(const float* __restrict__ x, const float* __restrict__ gamma,
                                              const float* __restrict__ beta, float eps, float* __restrict__ y,
                                              float* __restrict__ stats, size_t rows, unsigned d) {
  size_t row = row_of_warp();
  if (row >= rows) return;
  unsigned lane = threadIdx.x % WARP;
  x += row * d;
  float sum = 0.0f, squares = 0.0f;
  for (unsigned j = lane; j < d; j += WARP) sum += x[j];
  float mean = warp_sum(sum) / d;
  // A second pass: E[x²] − E[x]² loses every digit where the mean is large.
  for (unsigned j = lane; j < d; j += WARP) squares = fmaf(x[j] - mean, x[j] - mean, squares);
  float rstd = 1.0f / sqrtf(warp_sum(squares) / d + eps);
  if (lane == 0) {
    stats[2 * row] = mean;
    stats[2 * row + 1] = rstd;
  }
  apply_to_row(x, mean, rstd, gamma, beta, y + row * d, d);
}

// `y` again, from the statistics of the forward pass.
extern "C" __global__ void layer_norm_apply(const float* __restrict__ x, const float* __restrict__ gamma,
                                            const float* __restrict__ beta, const float* __restrict__ stats,
                                            float* __restrict__ y, size_t rows, unsigned d) {
  size_t row = row_of_warp();
  if (row < rows) apply_to_row(x + row * d, stats[2 * row], stats[2 * row + 1], gamma, beta, y + row * d, d);
}

// dx = rstd (g − ⟨g⟩ − x̂ ⟨g ⊙ x̂⟩), g = dy ⊙ γ, for one row, in place of dy.
__device__ __forceinline__ void backward_row(const float* x, float mean, float rstd, const float* gamma, float* dy,
                                             unsigned d) {
  unsigned lane = threadIdx.x % WARP;
  float sum = 0.0f, normed_sum = 0.0f;
  for (unsigned j = lane; j < d; j += WARP) {
    float g = dy[j] * gamma[j];
    sum += g;
    // Not ⟨g ⊙ x⟩ − mean ⟨g⟩, which cancels where the mean is large.
    normed_sum = fmaf(g, x[j] - mean, normed_sum);
  }
  float g_mean = warp_sum(sum) / d;
  float g_normed_mean = warp_sum(normed_sum) * rstd / d;
  for (unsigned j = lane; j < d; j += WARP) {
    float g = dy[j] * gamma[j];
    dy[j] = rstd * (g - g_mean - normed(x[j], mean, rstd) * g_normed_mean);
  }
}

// `dx` in place of `dy`, and what the block's rows add to the gradients of γ and β: `partials` is
// [blocks, 2, d]. First each thread sums columns over the rows, in their order; then each warp turns rows
// of `dy` into `dx`, which are in a cache by then.
extern "C" __global__ void layer_norm_backward(const float* __restrict__ x, const float* __restrict__ stats,
                                               const float* __restrict__ gamma, float* dy, float* __restrict__ partials,
                                               size_t rows, unsigned rows_per_block, unsigned d) {
  size_t first = (size_t)blockIdx.x * rows_per_block;
  size_t end = first + rows_per_block < rows ? first + rows_per_block : rows;
  float* dgamma = partials + (size_t)blockIdx.x * 2 * d;
  for (unsigned j = threadIdx.x; j < d; j += blockDim.x) {
    float gamma_sum = 0.0f, beta_sum = 0.0f;
    for (size_t row = first; row < end; row++) {
      float g = dy[row * d + j];
      gamma_sum = fmaf(g, normed(x[row * d + j], stats[2 * row], stats[2 * row + 1]), gamma_sum);
      beta_sum += g;
    }
    dgamma[j] = gamma_sum;
    dgamma[d + j] = beta_sum;
  }
  // Without this barrier a warp would overwrite `dy` before another warp has summed its columns.
  __syncthreads();
  for (size_t row = first + threadIdx.x / WARP; row < end; row += blockDim.x / WARP)
    backward_row(x + row * d, stats[2 * row], stats[2 * row + 1], gamma, dy + row * d, d);
}

// Adds one half of `partials` to a gradient [d]: γ's half starts at 0, β's at d. A block sums 32 columns,
// one a lane; each warp sums an equal share of the partial results, in their order, and the first warp adds
// the warps' sums, in their order. So the bits depend on the shape alone. Shared: one f32 a thread.
extern "C" __global__ void layer_norm_add_partials(const float* __restrict__ partials, float* __restrict__ grad,
                                                   unsigned blocks, unsigned half, unsigned d) {
  DYNAMIC_SHARED(float, sums);
  unsigned warps = blockDim.x / WARP, warp = threadIdx.x / WARP, j = blockIdx.x * WARP + threadIdx.x % WARP;
  unsigned share = (blocks + warps - 1) / warps;
  unsigned end = (warp + 1) * share < blocks ? (warp + 1) * share : blocks;
  float sum = 0.0f;
  if (j < d)
    for (unsigned block = warp * share; block < end; block++) sum += partials[(size_t)block * 2 * d + half + j];
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (warp > 0 || j >= d) return;
  for (unsigned other = 1; other < warps; other++) sum += sums[other * WARP + threadIdx.x];
  grad[j] += sum;
}
