// What an evaluation remembers of an image: every check that was made, with what scoring it again needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "jobs/chain_identity.h"

namespace langrun {

constexpr float kNoEnergy = std::numeric_limits<float>::quiet_NaN();

/// A check by H_def replicates.
struct JudgeCheck {
  Purpose purpose = Purpose::natural;
  std::uint32_t restart = 0, step = 0;
  std::int32_t label = 0;           ///< of the average
  std::vector<std::int32_t> votes;  ///< [H_def] each replicate's own label
  /// [rows, classes] logits: of each replicate up to 100 classes, beyond that means over eight groups of them.
  std::vector<float> logits;
  float first_energy = kNoEnergy;  ///< U at the image; NaN without an energy, and in records that did not keep it
  float last_energy = kNoEnergy;   ///< mean over replicates of U at the start of the last Langevin step; NaN as above
};

/// A check by H_adv replicates, and the attack's gradient from them.
struct SmallCheck {
  Purpose purpose = Purpose::small_sample;  ///< small_sample, null_small or gradient
  std::uint32_t restart = 0, step = 0;
  std::int32_t label = 0;
  float loss = 0;
  float gradient_norm = 0;  ///< L2, of the average over replicates; NaN where no gradient was taken
  float cosine = 0;         ///< between the gradients of two halves of the replicates; NaN where there are not two
  float first_energy = 0;   ///< U at the attacked image; NaN without an energy
  float last_energy = 0;    ///< mean over replicates of U at the start of the last Langevin step; NaN as above
};

struct ImageRecord {
  std::uint64_t index = 0;  ///< in the store
  std::int64_t label = 0;
  std::uint64_t image_steps = 0;  ///< Langevin steps of all its chains; those of `full` backwards not counted
  std::vector<JudgeCheck> judge;  ///< in the order they were made
  std::vector<SmallCheck> small;
  // Of images of the gallery, else empty; each [C, H, W]: where the last restart's attack ended (empty: not attacked),
  // replicate 0 of the natural check, and replicate 0 of the last small sample, or without any of the last judge's check.
  std::vector<float> adversarial, purified, purified_adversarial;
};

/// Rows of a check's stored logits: H_def, or 8 beyond 100 classes (fewer where there are fewer replicates).
std::int64_t stored_rows(std::int64_t replicates, std::int64_t classes);
/// [H, classes] as they are stored.
std::vector<float> stored_logits(std::span<const float> logits, std::int64_t replicates, std::int64_t classes);

/// As bytes of one machine, and back. `unpacked` throws Error(storage) for bytes that are none.
std::vector<std::byte> packed(const ImageRecord& record);
ImageRecord unpacked(std::span<const std::byte> bytes);

}  // namespace langrun
