// What an evaluation remembers of an image: every check that was made, with what scoring it again needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
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
  /// [rows, classes] logits: of each replicate up to 100 classes, beyond that of eight groups of them (stored_logits).
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
  // Of images of the gallery, else empty; each [C, H, W]: where the last restart's attack ended, or what it handed
  // over where a rule looks at that (empty: not attacked), replicate 0 of the natural check, and replicate 0 of the
  // last look at the former.
  std::vector<float> adversarial, purified, purified_adversarial;
};

/// Rows of a check's stored logits: H_def, or 8 beyond 100 classes (fewer where there are fewer replicates).
std::int64_t stored_rows(std::int64_t replicates, std::int64_t classes);
/// [H, classes] as they are stored. A group's row stands for its replicates under the defense's `average`: of softmax
/// it is the logarithm of their mean probabilities, else the mean of their logits (of logsoftmax up to a number that
/// all classes share).
std::vector<float> stored_logits(std::span<const float> logits, std::int64_t replicates, std::int64_t classes,
                                 const std::string& average);

/// As bytes of one machine, and back. `unpacked` throws Error(storage) for bytes that are none.
std::vector<std::byte> packed(const ImageRecord& record);
ImageRecord unpacked(std::span<const std::byte> bytes);

}  // namespace langrun
