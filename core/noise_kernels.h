// Inside of core/noise.cpp: one table of routines per instruction set, all giving the same bits.
//
// The files noise_lanes_*.cpp are compiled with wider instruction sets than the rest of the program. They may include
// this header, core/philox.h, core/noise_loops.h and the compiler's own intrinsics, but nothing with ordinary inline
// functions (the standard library's containers, say): a copy of such a function made there could be the one the linker
// keeps, and stop the program on a processor without these instructions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace langrun {

/// Key and place of a run of numbers, as Philox wants them.
struct NoiseCounter {
  std::uint32_t key[2];
  std::uint32_t step;
  std::uint32_t identity[2];  ///< low and high half
};

/// Weights of one Langevin update: x <- fma(noise, z, fma(minus_gradient, gradient, x)).
struct LangevinWeights {
  float minus_gradient;
  float noise;
};

/// Routines for one instruction set. Each writes (or updates) the first `count` numbers of the run.
struct NoiseKernels {
  const char* name;  ///< "generic", "avx2", "avx512"
  void (*bits)(const NoiseCounter& at, std::uint32_t* out, std::size_t count);
  void (*uniform)(const NoiseCounter& at, float* out, std::size_t count);
  void (*normal)(const NoiseCounter& at, float* out, std::size_t count);
  void (*langevin)(const NoiseCounter& at, LangevinWeights weights, const float* gradient, float* x, std::size_t count);
};

// One per noise_lanes_*.cpp; call only what the processor supports.
NoiseKernels generic_noise_kernels();
NoiseKernels avx2_noise_kernels();
NoiseKernels avx512_noise_kernels();

/// Tables this processor can run, slowest (generic) first: at most 3. The bulk routines of core/noise.h use the last.
struct NoiseKernelList {
  NoiseKernels tables[3];
  int count = 0;
};
const NoiseKernelList& noise_kernels();

}  // namespace langrun
