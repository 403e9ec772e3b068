#include "launch/bench_defend.h"

#include <fmt/format.h>

#include "core/error.h"
#include "launch/defend_options.h"

namespace langrun::launch {

EvaluationConfig bench_evaluation(Communicator& world, const BenchDefendOptions& asked) {
  DefendOptions options;
  OptionTable table("defend");
  bind_defend(table, options);
  options.energy.run = asked.energy;
  options.energy.data = asked.data;
  options.energy.precision = "fp32";
  options.energy.eta = asked.eta;
  options.energy.steps = asked.chain_steps;
  options.protocols = "verified_any_step";
  auto& e = options.evaluation;
  e.classifier.file = asked.classifier;
  e.classifier.precision = asked.classifier_precision;
  e.attack.steps = asked.attack_steps;
  e.attack.replicates = asked.attack_replicates;
  e.attack.eps = asked.eps;
  e.attack.alpha = asked.alpha;
  e.defense.replicates = asked.defense_replicates;
  e.gallery = 0;
  e.threads = asked.threads;
  e.device = "cpu";
  auto config = resolve_defend(world, options, table, {});
  const auto all = config.images;
  const auto count = static_cast<std::size_t>(asked.images);
  if (count > all.size())
    throw Error(ExitCode::usage, fmt::format("--images is {}, {} has {}", count, asked.data, all.size()),
                "name fewer, or a larger store");
  config.images.clear();
  // Stores are often sorted by class.
  for (std::size_t i = 0; i < count; ++i) config.images.push_back(all[i * all.size() / count]);
  return config;
}

}  // namespace langrun::launch
