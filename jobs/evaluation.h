// The evaluation engine: chains of many images, at different steps, on all ranks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/error.h"
#include "distributed/communicator.h"
#include "jobs/evaluation_config.h"
#include "jobs/evaluation_record.h"
#include "jobs/pool_counts.h"

namespace langrun {

/// What was computed, over all ranks of one start.
struct EvaluationCounts {
  PoolCounts chains;
  std::uint64_t classifier_calls = 0, classifier_gradients = 0;
  std::uint64_t images = 0;  ///< finished in this start
  double seconds = 0;
};

/// What the evaluation tells, and asks. On rank 0 alone, but for stop_asked.
struct EvaluationObserver {
  std::function<void(const ImageRecord& record)> finished;  ///< an image is through
  std::function<void(std::int64_t in_flight)> progress;     ///< after every round
  std::function<bool()> stop_asked;                         ///< any rank
  std::function<bool()> overtaken;                          ///< a newer start has the folder
};

/// What a start goes on from, the same on every rank.
struct EvaluationState {
  std::set<std::uint64_t> finished;              ///< indices of images that are not made again
  std::map<std::uint64_t, JudgeCheck> naturals;  ///< by index: natural checks that are known
  std::int64_t stop_at = 0;                      ///< images that are finished, in all, before a stop; 0: no such stop
};

/// Every rank keeps the same books of all images: each image's coroutine (jobs/image_evaluation.h) runs on every rank,
/// chains are handed out to ranks by one rule, and what a rank computed is exchanged once a round, a round being some
/// Langevin steps. So nobody is asked, nobody waits for a master, and when images run out their replicates are shared.
class Evaluation {
 public:
  /// Opens energy, classifier and data. Collective, all ranks. Throws Error(usage) or Error(input) for what does not go
  /// together: sizes, classes, images outside the store.
  Evaluation(const EvaluationConfig& config, Communicator& world);
  ~Evaluation();

  /// Classes of data and classifier.
  std::int64_t classes() const;
  std::vector<std::string> class_names() const;
  ImageShape image() const;
  const JudgeFacts& judge() const;
  /// Whether the chains' way is piecewise linear, so that the pathwise gradient is BPDA's.
  bool piecewise_linear() const;
  /// Whether chains feel a Gaussian term beside.
  bool gaussian() const;
  /// Whether the energy keeps the chains of a call apart, to the bit. Where it does not, calls hold one chain.
  bool energy_place_free() const;
  std::string device() const;
  /// Writes the energy with all terms its chains feel to a new file. Rank 0 alone. Throws Error(storage).
  void keep_energy(const std::filesystem::path& path) const;
  std::int64_t round_steps() const;

  /// Evaluates the images that are not finished: done, or stopped. Collective, all ranks. Throws Error(diverged) where a
  /// chain left all bounds.
  ExitCode run(const EvaluationState& state, const EvaluationObserver& observer);
  /// Of all starts of this object, over all ranks. Collective.
  EvaluationCounts counts();

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace langrun
