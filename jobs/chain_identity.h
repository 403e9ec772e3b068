// Identities of an evaluation's chains (design invariant 2): image, restart, attack step, replicate, and what for.
#pragma once

#include <cstdint>

namespace langrun {

/// What a set of replicates is drawn for. Part of every chain's identity, so that attack and judge never share noise.
/// The numbers are part of every record's bits: never renumber.
enum class Purpose : std::uint8_t {
  small_sample = 0,  ///< the attack's own label and gradient at a step
  judge = 1,         ///< verification at a step
  natural = 2,       ///< the natural check
  null_judge = 3,    ///< null control: judge check `step` of the unperturbed image
  null_small = 4,    ///< null control: small-sample check `step` of the unperturbed image
  resubmission = 5,  ///< resubmission `step` of a restart's last image
  final_judge = 6,   ///< a restart's last image
  gradient = 7,      ///< of records alone: the attack's gradient at a step, where no rule looks at its label
};

/// One set of replicates of one image.
struct StageIdentity {
  std::uint64_t image = 0;  ///< index in the store
  Purpose purpose = Purpose::natural;
  std::uint32_t restart = 0;
  std::uint32_t step = 0;  ///< attack step, or a count as the purpose says
  bool operator==(const StageIdentity&) const = default;
};

constexpr std::uint64_t kMostImages = 1ull << 24;
constexpr std::uint64_t kMostRestarts = 1ull << 7;
constexpr std::uint64_t kMostCounted = 1ull << 18;  ///< attack steps, checks of the null control
constexpr std::uint64_t kMostReplicates = 1ull << 12;

/// Identity of the noise of replicate h. Each field within the limits above.
constexpr std::uint64_t chain_of(const StageIdentity& stage, std::uint64_t replicate) {
  return stage.image | std::uint64_t{stage.restart} << 24 | std::uint64_t{stage.step} << 31 | replicate << 49 |
         static_cast<std::uint64_t>(stage.purpose) << 61;
}

}  // namespace langrun
