// The order of an epoch without storing it.
#pragma once

#include <cstdint>

#include "core/noise.h"

namespace langrun {

/// A keyed permutation of 0 .. size-1 in O(1) memory: a balanced Feistel network of Philox over the next even number of
/// bits, walked until it falls back into range (Black and Rogaway, Ciphers with arbitrary finite domains, 2002). A pure
/// function of (seed, epoch, size), Stream::data_order.
class Permutation {
 public:
  /// Throws Error(internal) for size 0 or over 2^62.
  Permutation(std::uint64_t seed, std::uint64_t epoch, std::uint64_t size);

  /// Image of `position`, which must be below size().
  std::uint64_t operator()(std::uint64_t position) const;
  std::uint64_t size() const { return size_; }

 private:
  std::uint64_t scramble(std::uint64_t value) const;

  NoiseKey key_;
  std::uint64_t epoch_;
  std::uint64_t size_;
  std::uint32_t half_bits_;
};

}  // namespace langrun
