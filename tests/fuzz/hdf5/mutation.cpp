#include "tests/fuzz/hdf5/mutation.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace langrun::mutations {
namespace {

class Damage {
 public:
  Damage(std::string& bytes, std::uint64_t seed, std::uint64_t number)
      : bytes_(bytes), random_(seed * 0x9e3779b97f4a7c15u + number) {}

  void apply() {
    switch (below(10)) {
      case 0: return flip(1);
      case 1: return flip(1);
      case 2: return flip(2 + below(15));
      case 3: return bytes_.resize(below(bytes_.size()));
      case 4: return swap_blocks();
      case 5: return copy_block();
      case 6: return set_block('\0');
      case 7: return set_block(static_cast<char>(below(256)));
      case 8: return set_number();
      default: return noise();
    }
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % std::max<std::uint64_t>(n, 1); }
  std::size_t length() { return std::min<std::size_t>(bytes_.size() / 2, std::size_t{1} << (3 + below(8))); }

  void flip(std::uint64_t bits) {
    for (std::uint64_t i = 0; i < bits; ++i) bytes_[below(bytes_.size())] ^= static_cast<char>(1u << below(8));
  }
  void swap_blocks() {
    const auto n = length(), a = below(bytes_.size() - n), b = below(bytes_.size() - n);
    const auto first = bytes_.substr(a, n), second = bytes_.substr(b, n);
    bytes_.replace(a, n, second);
    bytes_.replace(b, n, first);
  }
  void copy_block() {
    const auto n = length(), from = below(bytes_.size() - n), to = below(bytes_.size() - n);
    bytes_.replace(to, n, bytes_.substr(from, n));
  }
  void set_block(char value) {
    const auto n = length(), at = below(bytes_.size() - n);
    bytes_.replace(at, n, n, value);
  }
  /// Extents, counts and addresses that lead far away.
  void set_number() {
    constexpr std::uint64_t far[] = {
        ~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1} << 40, 0xffffffffu, 0x7fffffffu, 0x10000u, 0, 1};
    const auto value = far[below(std::size(far))];
    const auto n = std::size_t{1} << below(4), at = below(bytes_.size() - 8);
    std::memcpy(bytes_.data() + at, &value, n);
  }
  void noise() {
    if (below(8) == 0) return static_cast<void>(bytes_.append(1 + below(200), static_cast<char>(below(256))));
    const auto n = length(), at = below(bytes_.size() - n);
    for (std::size_t i = 0; i < n; ++i) bytes_[at + i] = static_cast<char>(random_());
  }

  std::string& bytes_;
  std::mt19937_64 random_;
};

}  // namespace

std::string mutated(const std::string& bytes, std::uint64_t seed, std::uint64_t number) {
  auto damaged = bytes;
  Damage(damaged, seed, number).apply();
  return damaged;
}

}  // namespace langrun::mutations
