// Damage as disks, networks and strangers do it.
#pragma once

#include <cstdint>
#include <string>

namespace langrun::mutations {

/// The bytes with damage number `number` of `seed`: flipped bits, a cut, blocks swapped, copied, zeroed or set, bytes
/// added. Always the same for the same numbers.
std::string mutated(const std::string& bytes, std::uint64_t seed, std::uint64_t number);

}  // namespace langrun::mutations
