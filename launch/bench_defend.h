// Options of `bench defend`, and the evaluation they ask for.
#pragma once

#include <cstdint>
#include <string>

#include "distributed/communicator.h"
#include "jobs/evaluation_config.h"

namespace langrun::launch {

/// The evaluation that `bench defend` measures. Defaults are those that figures are published with.
struct BenchDefendOptions {
  std::string energy, classifier, data;
  double eta = 1e-2;
  std::int64_t images = 40, chain_steps = 50, attack_steps = 10;
  std::int64_t attack_replicates = 15, defense_replicates = 50;
  double eps = 8, alpha = 2;
  std::string classifier_precision = "fp32";
  std::string leaving = "both";  ///< both, on or off
  std::int64_t threads = 1;
};

/// BPDA+EOT as `defend` would run it with these options, scored by verified_any_step alone, on images spread evenly
/// over the store. Collective, all ranks. Throws as `defend` does; Error(usage) where the store has fewer images.
EvaluationConfig bench_evaluation(Communicator& world, const BenchDefendOptions& options);

}  // namespace langrun::launch
