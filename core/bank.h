// One lane of a persistent bank: images, their latents, and how often each was updated.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/images.h"
#include "core/noise.h"
#include "core/settings.h"

namespace langrun {

/// Which rows of one lane a step draws: `count` of `rows`, without replacement, a function of (key, lane, step) alone.
/// Throws Error(usage) where the lane has fewer rows.
std::vector<std::int64_t> draw_rows(NoiseKey key, std::int64_t lane, std::int64_t step, std::int64_t rows,
                                    std::int64_t count);

/// True where the slot, `updates` rounds after its last start, starts anew in this step.
bool rejuvenates(NoiseKey key, std::uint64_t slot, std::int64_t step, std::int64_t updates,
                 const RejuvenationRule& rule);

/// The rows that one lane owns of a bank; row r is slot lane + L * r. In host memory on every device.
struct BankLane {
  at::Tensor images;                  ///< [rows, C, H, W] float32, contiguous, as files have them
  at::Tensor latents;                 ///< [rows, nz] float32; nz = 0 where the bank has no latents
  std::vector<std::int64_t> updates;  ///< [rows] rounds since rejuvenation
  std::vector<std::int64_t> visits;   ///< [rows] all rounds

  static BankLane make(std::int64_t rows, const ImageShape& image, std::int64_t latent);
  std::int64_t rows() const { return static_cast<std::int64_t>(updates.size()); }
  /// Copies of the given rows' images [b, C, H, W] or latents [b, nz].
  at::Tensor take_images(const std::vector<std::int64_t>& which) const;
  at::Tensor take_latents(const std::vector<std::int64_t>& which) const;
  /// Writes images (and latents, if the bank has them) back to the rows they were drawn from.
  void put(const std::vector<std::int64_t>& which, const at::Tensor& new_images, const at::Tensor& new_latents);
};

}  // namespace langrun
