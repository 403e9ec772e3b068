#include "core/noise.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/noise_kernels.h"
#include "core/philox.h"

namespace langrun {
namespace {

NoiseCounter counter_of(const NoiseKey& key, const NoisePlace& place) {
  return {{key.words[0], key.words[1]},
          place.step,
          {static_cast<std::uint32_t>(place.identity), static_cast<std::uint32_t>(place.identity >> 32)}};
}

void check_count(std::size_t count) {
  // The number of a block is 32 bits of the counter: past it the numbers would repeat.
  if (count > std::size_t{1} << 34) {
    throw Error(ExitCode::internal, fmt::format("{} random numbers asked for at one place, at most 2^34 exist", count));
  }
}

std::uint64_t pair_of_words(const std::array<std::uint32_t, 4>& block, int pair) {
  return block[2 * pair] | (static_cast<std::uint64_t>(block[2 * pair + 1]) << 32);
}

const NoiseKernels& fastest() {
  const NoiseKernelList& list = noise_kernels();
  return list.tables[list.count - 1];
}

}  // namespace

const NoiseKernelList& noise_kernels() {
  static const NoiseKernelList list = [] {
    NoiseKernelList found;
    found.tables[found.count++] = generic_noise_kernels();
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      found.tables[found.count++] = avx2_noise_kernels();
    }
    if (__builtin_cpu_supports("avx512f")) found.tables[found.count++] = avx512_noise_kernels();
#endif
    return found;
  }();
  return list;
}

std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key) {
  std::uint32_t words[4] = {counter[0], counter[1], counter[2], counter[3]};
  philox_rounds<ScalarOps>(words, key[0], key[1]);
  return {words[0], words[1], words[2], words[3]};
}

NoiseKey noise_key(std::uint64_t seed, Stream stream, std::uint32_t attempt) {
  // A block under the seed rather than the seed itself: neighbouring seeds and streams share no structure.
  const auto block = philox({static_cast<std::uint32_t>(stream), attempt, 0, 0},
                            {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return {{block[0], block[1]}};
}

void fill_bits(NoiseKey key, NoisePlace place, std::span<std::uint32_t> out) {
  check_count(out.size());
  fastest().bits(counter_of(key, place), out.data(), out.size());
}

void fill_uniform(NoiseKey key, NoisePlace place, std::span<float> out) {
  check_count(out.size());
  fastest().uniform(counter_of(key, place), out.data(), out.size());
}

void fill_normal(NoiseKey key, NoisePlace place, std::span<float> out) {
  check_count(out.size());
  fastest().normal(counter_of(key, place), out.data(), out.size());
}

std::uint64_t uniform_integer(NoiseKey key, NoisePlace place, std::uint32_t index, std::uint64_t bound) {
  if (bound == 0) throw Error(ExitCode::internal, "uniform_integer: bound is 0, expected at least 1");
  const std::array<std::uint32_t, 4> counter{index, place.step, static_cast<std::uint32_t>(place.identity),
                                             static_cast<std::uint32_t>(place.identity >> 32)};
  // 2^64 mod bound: the lowest parts of the product that would make some results likelier than others.
  const std::uint64_t unfair = (0 - bound) % bound;
  for (std::uint32_t attempt = 1;; ++attempt) {
    const auto block = philox(counter, key.words);
    for (int pair = 0; pair < 2; ++pair) {
      __extension__ using Wide = unsigned __int128;
      const Wide product = static_cast<Wide>(pair_of_words(block, pair)) * bound;
      if (static_cast<std::uint64_t>(product) >= unfair) return static_cast<std::uint64_t>(product >> 64);
    }
    // Two more candidates from the same counter under another key, so that no neighbour's numbers are touched.
    const auto next = philox({attempt, 0, 0, 0}, key.words);
    key.words = {next[0], next[1]};
  }
}

void langevin_update(NoiseKey key, NoisePlace place, float gradient_weight, float noise_weight,
                     std::span<const float> gradient, std::span<float> x) {
  if (gradient.size() != x.size()) {
    throw Error(ExitCode::internal,
                fmt::format("langevin_update: {} gradient elements for {} of x", gradient.size(), x.size()));
  }
  check_count(x.size());
  fastest().langevin(counter_of(key, place), {-gradient_weight, noise_weight}, gradient.data(), x.data(), x.size());
}

}  // namespace langrun
