#include "core/permutation.h"

#include <fmt/format.h>

#include <bit>

#include "core/error.h"

namespace langrun {
namespace {

// Small domains have few bits a round can mix; ten rounds make the order of ten images as even as that of a million.
constexpr std::uint32_t kRounds = 10;

}  // namespace

Permutation::Permutation(std::uint64_t seed, std::uint64_t epoch, std::uint64_t size)
    : key_(noise_key(seed, Stream::data_order)), epoch_(epoch), size_(size) {
  if (size == 0 || size > (std::uint64_t{1} << 62))
    throw Error(ExitCode::internal, fmt::format("permutation of {} elements, expected 1 to 2^62", size));
  const auto bits = static_cast<std::uint32_t>(std::bit_width(size - 1));
  half_bits_ = bits < 2 ? 1 : (bits + 1) / 2;
}

std::uint64_t Permutation::scramble(std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_, right = value & mask;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const auto block = philox({static_cast<std::uint32_t>(right), round, static_cast<std::uint32_t>(epoch_),
                               static_cast<std::uint32_t>(epoch_ >> 32)},
                              key_.words);
    const std::uint64_t mixed = left ^ (block[0] & mask);
    left = right;
    right = mixed;
  }
  return (left << half_bits_) | right;
}

std::uint64_t Permutation::operator()(std::uint64_t position) const {
  if (position >= size_)
    throw Error(ExitCode::internal, fmt::format("position {} of a permutation of {}", position, size_));
  // Each step is a bijection of the larger domain, so the walk returns into range, and no two positions meet there.
  do {
    position = scramble(position);
  } while (position >= size_);
  return position;
}

}  // namespace langrun
