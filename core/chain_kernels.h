// Langevin chains that live on a GPU from step to step: nothing of a step comes from the host, so steps can be captured
// in a graph and replayed. C++17, so that CUDA sources may include it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/chain_row.h"

namespace langrun {

/// The state of one call's chains, all of it device memory.
struct DeviceRows {
  ChainSettings* settings;                            ///< one
  std::uint64_t* identities;                          ///< [count] whose noise
  std::uint32_t *starts, *steps;                      ///< [count] places of each chain's first and next noise
  float *magnitude_sum, *first_energy, *last_energy;  ///< [count]
  std::int64_t count, length;                         ///< chains; elements of one
};

/// Puts the chains before their first step: settings, identities and starts [rows.count], no magnitudes. What it is
/// given may go as soon as it returns (it travels as kernel arguments). Queued on `stream` (a cudaStream_t) of the current device.
/// Throws Error(internal) where a launch fails or a chain is too long.
void begin_chains(const DeviceRows& rows, const ChainSettings& settings, const std::vector<std::uint64_t>& identities,
                  const std::vector<std::uint32_t>& starts, void* stream);

/// One step of every chain in one kernel: magnitude of the gradient and its sum, clipping, noise and update, first and
/// last energy; then each chain's step is counted. energy [count] and gradient [count][length] are U and grad U at
/// x [count][length], float32. Each chain is one block's: sums have a fixed order, and a chain's bits depend on nothing
/// but its own values, identity and step. Queued as above.
void move_chains(const DeviceRows& rows, const float* energy, const float* gradient, float* x, void* stream);

}  // namespace langrun
