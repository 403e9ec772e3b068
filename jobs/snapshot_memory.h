// Memory of a checkpoint's pieces, for who writes it and who plans it.
#pragma once

#include <algorithm>
#include <cstddef>

namespace langrun {

constexpr std::size_t kMostPieceMemory = 8 << 20, kLeastPieceMemory = 128 << 10;

/// Bytes of the pieces on their way to the disk, of a rank's lanes of `bank` bytes.
constexpr std::size_t piece_memory(std::size_t bank) { return std::clamp(bank / 40, kLeastPieceMemory, kMostPieceMemory); }

}  // namespace langrun
