// Loops over groups of numbers, for any Lanes: kLanes blocks at once, with the operations that core/philox.h asks for.
// Included by the noise_lanes_*.cpp files alone (see core/noise_kernels.h for what these may include).
#pragma once

#include "core/noise_kernels.h"
#include "core/philox.h"

namespace langrun {

/// Loops of one instruction set. Lanes gives `Ops`, kLanes (divides kGroupBlocks), `blocks(at, first, words)`: the four
/// words of blocks first .. first + kLanes - 1, and `load`, `store`, `store_bits` of kLanes values.
template <class Lanes>
struct NoiseLoops {
  using Ops = typename Lanes::Ops;
  using Float = typename Ops::Float;
  using Bits = typename Ops::Bits;
  static constexpr int kLanes = Lanes::kLanes;

  struct StoreBits {
    std::uint32_t* out;
    void operator()(int place, const Bits (&words)[4]) const {
      for (int word = 0; word < 4; ++word) Lanes::store_bits(out + place + kGroupBlocks * word, words[word]);
    }
  };
  struct StoreUniform {
    float* out;
    void operator()(int place, const Bits (&words)[4]) const {
      for (int word = 0; word < 4; ++word) {
        Lanes::store(out + place + kGroupBlocks * word, uniform_from_word<Ops>(words[word]));
      }
    }
  };
  struct StoreNormal {
    float* out;
    void operator()(int place, const Bits (&words)[4]) const {
      for (int pair = 0; pair < 2; ++pair) {
        Float z0, z1;
        box_muller<Ops>(words[2 * pair], words[2 * pair + 1], z0, z1);
        Lanes::store(out + place + kGroupBlocks * (2 * pair), z0);
        Lanes::store(out + place + kGroupBlocks * (2 * pair + 1), z1);
      }
    }
  };
  struct MoveChain {
    LangevinWeights weights;
    const float* gradient;
    float* x;
    void operator()(int place, const Bits (&words)[4]) const {
      for (int pair = 0; pair < 2; ++pair) {
        Float z0, z1;
        box_muller<Ops>(words[2 * pair], words[2 * pair + 1], z0, z1);
        move(place + kGroupBlocks * (2 * pair), z0);
        move(place + kGroupBlocks * (2 * pair + 1), z1);
      }
    }
    void move(int place, Float z) const {
      Lanes::store(x + place, langevin_step<Ops>(Ops::splat(weights.minus_gradient), Ops::splat(weights.noise),
                                                 Lanes::load(gradient + place), z, Lanes::load(x + place)));
    }
  };

  /// All numbers of one group; `use` gets the four words of kLanes blocks and the first one's place in the group.
  template <class Use>
  static void group(const NoiseCounter& at, std::size_t number, const Use& use) {
    const std::uint32_t first_block = static_cast<std::uint32_t>(number) * kGroupBlocks;
    for (int lane = 0; lane < kGroupBlocks; lane += kLanes) {
      Bits words[4];
      Lanes::blocks(at, first_block + static_cast<std::uint32_t>(lane), words);
      use(lane, words);
    }
  }

  static void copy(void* to, const void* from, std::size_t bytes) { __builtin_memcpy(to, from, bytes); }

  // A last group that is not full goes through a buffer: the numbers that fit are the same as ever.
  static void bits(const NoiseCounter& at, std::uint32_t* out, std::size_t count) {
    const std::size_t full = count / kNoiseGroup, rest = count % kNoiseGroup;
    for (std::size_t number = 0; number < full; ++number) group(at, number, StoreBits{out + number * kNoiseGroup});
    if (rest == 0) return;
    std::uint32_t buffer[kNoiseGroup];
    group(at, full, StoreBits{buffer});
    copy(out + full * kNoiseGroup, buffer, rest * sizeof buffer[0]);
  }

  template <class Store>
  static void floats(const NoiseCounter& at, float* out, std::size_t count) {
    const std::size_t full = count / kNoiseGroup, rest = count % kNoiseGroup;
    for (std::size_t number = 0; number < full; ++number) group(at, number, Store{out + number * kNoiseGroup});
    if (rest == 0) return;
    float buffer[kNoiseGroup];
    group(at, full, Store{buffer});
    copy(out + full * kNoiseGroup, buffer, rest * sizeof buffer[0]);
  }

  static void langevin(const NoiseCounter& at, LangevinWeights weights, const float* gradient, float* x,
                       std::size_t count) {
    const std::size_t full = count / kNoiseGroup, rest = count % kNoiseGroup;
    for (std::size_t number = 0; number < full; ++number) {
      group(at, number, MoveChain{weights, gradient + number * kNoiseGroup, x + number * kNoiseGroup});
    }
    if (rest == 0) return;
    float gradients[kNoiseGroup] = {}, values[kNoiseGroup] = {};
    copy(gradients, gradient + full * kNoiseGroup, rest * sizeof(float));
    copy(values, x + full * kNoiseGroup, rest * sizeof(float));
    group(at, full, MoveChain{weights, gradients, values});
    copy(x + full * kNoiseGroup, values, rest * sizeof(float));
  }

  static NoiseKernels table(const char* name) {
    return {name, &bits, &floats<StoreUniform>, &floats<StoreNormal>, &langevin};
  }
};

}  // namespace langrun
