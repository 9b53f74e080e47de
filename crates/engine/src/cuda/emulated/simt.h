// Runs CUDA kernels on the CPU, for tests: a host C++ compiler compiles a `.cu` file with this header
// included before it.
//
// A launch runs one block after another. Each thread of the block is a fibre, which runs until it reaches a
// barrier, a warp collective or its end. What the emulation adds to find mistakes:
//
// * Shared memory starts as NaN (all bits set) in every block, and bytes written past its end are reported.
// * With a seed other than zero, warps and lanes run in random order.
// * A barrier or collective that some threads never reach is reported as a deadlock.
// * Arguments are checked against the kernel's parameters.
#pragma once

#include <algorithm>
#include <functional>
#include <math.h>
#include <memory>
#include <random>
#include <stdint.h>
#include <string.h>
#include <string>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#include <vector>

namespace simt {

constexpr unsigned LANES = 32;
constexpr size_t STACK = 64 << 10; // bytes for each thread
constexpr size_t GUARD = 64;       // bytes past the end of shared memory that are checked

struct Dim {
  uint32_t x, y, z;
  size_t count() const { return (size_t)x * y * z; }
};

// The four kinds of kernel arguments, numbered as in `emulated/library.rs`.
enum class Kind : uint32_t { pointer, u32, u64, f32 };

struct Argument {
  Kind kind;
  uint64_t bits; // of a narrower value: in the lowest bits
};

// What `emulated/library.rs` passes.
struct Request {
  Dim grid, block;
  uint32_t shared; // bytes
  uint64_t seed;
  const Argument* arguments;
  size_t count;
};

enum class State { ready, at_barrier, at_collective, done };

struct Thread {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  Dim index;
  unsigned lane, warp;
  State state;
};

struct Warp {
  unsigned arrived = 0, generation = 0;
  uint32_t words[2][LANES]; // by generation, so that a fast lane does not overwrite what a slow one still reads
};

// The block that runs now. Threads are kept for the next block.
struct Block {
  Dim index, size, grid;
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Warp> warps;
  std::vector<unsigned char> shared;
  std::function<void()> kernel;
  ucontext_t scheduler;
  Thread* thread; // the one that runs now
  std::mt19937_64 random;
};

// One per host thread, so that tests can launch at the same time.
inline thread_local Block* block;

// Ends this thread's turn.
inline void yield(State state) {
  Thread* thread = block->thread;
  thread->state = state;
  swapcontext(&thread->context, &block->scheduler);
}

inline void run_thread() {
  for (;;) {
    block->kernel();
    yield(State::done);
  }
}

// Gives `word` to the warp and returns the words of all lanes, once all of them have come here.
inline const uint32_t* exchange(uint32_t word) {
  Warp& warp = block->warps[block->thread->warp];
  uint32_t* words = warp.words[warp.generation % 2];
  words[block->thread->lane] = word;
  if (++warp.arrived < LANES) {
    yield(State::at_collective);
    return words;
  }
  warp.arrived = 0;
  warp.generation++;
  for (unsigned lane = 0; lane < LANES; lane++) {
    Thread& other = *block->threads[block->thread->warp * LANES + lane];
    if (other.state == State::at_collective) other.state = State::ready;
  }
  return words;
}

// The shared memory, aligned as CUDA aligns it; `shared` has room for this.
constexpr size_t ALIGNMENT = 128;
inline unsigned char* shared_memory() {
  uintptr_t address = (uintptr_t)block->shared.data();
  return (unsigned char*)((address + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

inline void make_threads(size_t count) {
  while (block->threads.size() < count) {
    auto thread = std::make_unique<Thread>();
    thread->stack.reset(new char[STACK]);
    getcontext(&thread->context);
    thread->context.uc_stack.ss_sp = thread->stack.get();
    thread->context.uc_stack.ss_size = STACK;
    thread->context.uc_link = nullptr;
    makecontext(&thread->context, run_thread, 0);
    block->threads.push_back(std::move(thread));
  }
}

inline void start_block(size_t threads, uint32_t shared) {
  block->warps.assign(threads / LANES, Warp{});
  block->shared.assign(shared + ALIGNMENT + GUARD, 0xff);
  for (unsigned i = 0; i < threads; i++) {
    Thread& thread = *block->threads[i];
    Dim size = block->size;
    thread.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    thread.lane = i % LANES;
    thread.warp = i / LANES;
    thread.state = State::ready;
  }
}

// Runs all ready lanes of a warp once; false if there were none.
inline bool run_warp(unsigned warp, const std::vector<unsigned>& lanes) {
  bool ran = false;
  for (unsigned lane : lanes) {
    Thread& thread = *block->threads[warp * LANES + lane];
    if (thread.state != State::ready) continue;
    block->thread = &thread;
    swapcontext(&block->scheduler, &thread.context);
    ran = true;
  }
  return ran;
}

inline std::vector<unsigned> in_order(unsigned count) {
  std::vector<unsigned> order(count);
  for (unsigned i = 0; i < count; i++) order[i] = i;
  return order;
}

// Lets the block's threads pass a barrier that all of those still running have reached; false if some have not.
inline bool open_barrier(size_t threads) {
  size_t waiting = 0, done = 0;
  for (size_t i = 0; i < threads; i++) {
    waiting += block->threads[i]->state == State::at_barrier;
    done += block->threads[i]->state == State::done;
  }
  if (waiting == 0 || waiting + done < threads) return false;
  for (size_t i = 0; i < threads; i++)
    if (block->threads[i]->state == State::at_barrier) block->threads[i]->state = State::ready;
  return true;
}

// Runs the threads of one block to their ends; returns what went wrong, or null.
inline const char* run_block(size_t threads, bool shuffled) {
  std::vector<unsigned> warps = in_order(threads / LANES), lanes = in_order(LANES);
  auto is_done = [](const std::unique_ptr<Thread>& thread) { return thread->state == State::done; };
  auto begin = block->threads.begin(), end = begin + threads;
  while (!std::all_of(begin, end, is_done)) {
    bool ran = false;
    if (shuffled) std::shuffle(warps.begin(), warps.end(), block->random);
    for (unsigned warp : warps) {
      do {
        if (shuffled) std::shuffle(lanes.begin(), lanes.end(), block->random);
        if (!run_warp(warp, lanes)) break;
        ran = true;
      } while (!shuffled || block->random() % 4 != 0);
    }
    if (!ran && !open_barrier(threads)) return "a barrier or warp collective was not reached by all threads";
  }
  return nullptr;
}

inline const char* run_grid(const Request& request, std::function<void()> kernel) {
  size_t threads = request.block.count();
  if (threads == 0 || threads % LANES != 0 || threads > 1024) return "a block must have 1 to 32 whole warps";
  static thread_local Block kept;
  block = &kept;
  block->size = request.block;
  block->grid = request.grid;
  block->random.seed(request.seed);
  block->kernel = std::move(kernel);
  make_threads(threads);
  for (size_t i = 0; i < request.grid.count(); i++) {
    Dim grid = request.grid;
    block->index = {(uint32_t)(i % grid.x), (uint32_t)(i / grid.x % grid.y), (uint32_t)(i / grid.x / grid.y)};
    start_block(threads, request.shared);
    if (const char* error = run_block(threads, request.seed != 0)) {
      block->threads.clear(); // they are in the middle of the kernel
      return error;
    }
    const unsigned char* end = shared_memory() + request.shared;
    if (std::any_of(end, end + GUARD, [](unsigned char byte) { return byte != 0xff; }))
      return "wrote past the end of its shared memory";
  }
  return nullptr;
}

template <class T> constexpr Kind kind_of() {
  if (std::is_pointer_v<T>) return Kind::pointer;
  if (std::is_same_v<T, float>) return Kind::f32;
  static_assert(std::is_pointer_v<T> || std::is_same_v<T, float> || std::is_unsigned_v<T>, "a kind of `Kind`");
  return sizeof(T) == 8 ? Kind::u64 : Kind::u32;
}

template <class T> T decode(const Argument& argument) {
  T value;
  memcpy(&value, &argument.bits, sizeof(T)); // little-endian
  return value;
}

template <class... T, size_t... I>
const char* launch(void (*kernel)(T...), const Request& request, std::index_sequence<I...>) {
  if (request.count != sizeof...(T)) return "the kernel has another number of parameters";
  if (!((request.arguments[I].kind == kind_of<T>()) && ...)) return "an argument has another type than its parameter";
  return run_grid(request, [kernel, &request] { kernel(decode<T>(request.arguments[I])...); });
}

template <class... T> const char* launch(void (*kernel)(T...), const Request& request) {
  return launch(kernel, request, std::index_sequence_for<T...>());
}

} // namespace simt

// Exports a function that launches a kernel and returns what went wrong, or null.
#define SIMT_EXPORT(kernel) \
  extern "C" const char* simt_launch_##kernel(const simt::Request* request) { return simt::launch(&kernel, *request); }

// The part of CUDA's language that the kernels use.
#define __global__
#define __device__
#define __forceinline__ inline
#define threadIdx (simt::block->thread->index)
#define blockIdx (simt::block->index)
#define blockDim (simt::block->size)
#define gridDim (simt::block->grid)
#define DYNAMIC_SHARED(type, name) type* name = (type*)simt::shared_memory()

inline void __syncthreads() { simt::yield(simt::State::at_barrier); }

inline float __uint_as_float(unsigned bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

inline unsigned __float_as_uint(float value) {
  unsigned bits;
  memcpy(&bits, &value, 4);
  return bits;
}

// All lanes take part, whatever the mask says.
inline float __shfl_xor_sync(unsigned, float value, int distance) {
  unsigned from = simt::block->thread->lane ^ distance;
  return __uint_as_float(simt::exchange(__float_as_uint(value))[from % simt::LANES]);
}
