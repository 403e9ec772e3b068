// Noise without vector instructions: any processor, the same bits.
#include "core/noise_loops.h"

namespace langrun {
namespace {

struct GenericLanes {
  using Ops = ScalarOps;
  static constexpr int kLanes = 1;

  static void blocks(const NoiseCounter& at, std::uint32_t first, std::uint32_t (&words)[4]) {
    words[0] = first;
    words[1] = at.step;
    words[2] = at.identity[0];
    words[3] = at.identity[1];
    philox_rounds<Ops>(words, at.key[0], at.key[1]);
  }
  static float load(const float* from) { return *from; }
  static void store(float* to, float x) { *to = x; }
  static void store_bits(std::uint32_t* to, std::uint32_t x) { *to = x; }
};

}  // namespace

NoiseKernels generic_noise_kernels() { return NoiseLoops<GenericLanes>::table("generic"); }

}  // namespace langrun
