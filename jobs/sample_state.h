// A block of chains on disk: what a sampling that stopped, or was killed, goes on from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/images.h"

namespace langrun {

/// What was seen of a block's chains at one listed step.
struct BlockColumn {
  std::vector<float> energy;     ///< [call] U at that step
  std::vector<float> magnitude;  ///< [call] mean over the steps since the listed step before; NaN where there was none
  std::vector<float> residual;   ///< [call] root mean square of the residual; empty without a hat
};

struct BlockState {
  std::int64_t number = 0, step = 0;
  std::vector<float> chains;         ///< [call, C, H, W], of a hat its residuals
  std::vector<float> latents;        ///< [call, nz] of a hat; empty without
  std::vector<double> magnitudes;    ///< [call] sums since the last listed step
  std::vector<BlockColumn> columns;  ///< one for each listed step that was reached
};

/// block-NNNNNN.h5 in the folder of a sampling's state
std::filesystem::path block_file(const std::filesystem::path& folder, std::int64_t number);
/// Writes it, whole or not at all, over what was there, with a seal (data/seal.h). Throws Error(storage).
void write_block(const std::filesystem::path& folder, const BlockState& state, const ImageShape& image);
/// Reads it back; older files have no seal, and only their values are checked. Throws Error(storage) where it is
/// missing, damaged or of another shape.
BlockState read_block(const std::filesystem::path& folder, std::int64_t number, std::int64_t call,
                      const ImageShape& image);
/// Reads it, whatever its shape, and where `call` is not 0, unless it has so many chains. Throws Error(storage) as
/// read_block.
void check_block(const std::filesystem::path& folder, std::int64_t number, std::int64_t call);

}  // namespace langrun
