#include <fmt/format.h>

#include <memory>

#include "jobs/bench.h"
#include "jobs/evaluation.h"

namespace langrun {
namespace {

/// One way to evaluate, measured again and again.
class MeasuredEvaluation {
 public:
  MeasuredEvaluation(EvaluationConfig config, const std::string& precision, bool leaving, Communicator& world)
      : name_(fmt::format("{}, images {}", precision, leaving ? "leave" : "stay")), precision_(precision),
        leaving_(leaving) {
    config.energy.precision = precision;
    config.packing.leaving = leaving;
    evaluation_ = std::make_unique<Evaluation>(config, world);
    observer_.finished = [](const ImageRecord&) {};
  }

  const std::string& name() const { return name_; }
  bool like(const MeasuredEvaluation& other) const {
    return (precision_ == other.precision_) != (leaving_ == other.leaving_);
  }
  void run() { evaluation_->run({}, observer_); }

  /// Up to the first image that is through: every kind of call was made once.
  void warm_up() {
    EvaluationState state;
    state.stop_at = 1;
    evaluation_->run(state, observer_);
    before_ = evaluation_->counts();
  }

  /// What an image cost in the runs since the warm-up. Collective, all ranks.
  std::vector<BenchFigure> costs() {
    const auto after = evaluation_->counts();
    const auto since = [&](std::uint64_t now, std::uint64_t then) { return static_cast<double>(now - then); };
    const double images = since(after.images, before_.images);
    const double moves = since(after.chains.moves, before_.chains.moves);
    const double waiting = since(after.chains.waiting, before_.chains.waiting);
    const auto figure = [&](const char* what, const char* unit, double value) {
      return BenchFigure{fmt::format("{}: {}", name_, what), unit, {value}, {}};
    };
    return {
        figure("energy calls an image", "calls", since(after.chains.calls, before_.chains.calls) / images),
        figure("Langevin steps an image", "steps", moves / images),
        figure("places that wait", "%", 100 * waiting / (moves + waiting)),
        figure("classifier calls an image", "calls", since(after.classifier_calls, before_.classifier_calls) / images)};
  }

 private:
  std::string name_, precision_;
  bool leaving_;
  std::unique_ptr<Evaluation> evaluation_;
  EvaluationObserver observer_;
  EvaluationCounts before_;
};

std::vector<std::pair<std::string, std::string>> settings_of(const EvaluationConfig& e, const Communicator& world) {
  return {{"images", std::to_string(e.images.size())},
          {"chain steps", std::to_string(e.langevin.steps)},
          {"attack", e.attack.kind},
          {"attack steps", std::to_string(e.attack.steps)},
          {"attack replicates", std::to_string(e.attack.replicates)},
          {"defense replicates", std::to_string(e.defense.replicates)},
          {"eps", fmt::format("{}", e.attack.eps)},
          {"alpha", fmt::format("{}", e.attack.alpha)},
          {"call", std::to_string(e.packing.call)},
          {"classifier", e.classifier.file},
          {"classifier precision", e.classifier.precision},
          {"ranks", std::to_string(world.size())},
          {"threads", std::to_string(e.threads)}};
}

}  // namespace

BenchReport bench_defend(const BenchConfig& config, Communicator& world) {
  std::vector<std::unique_ptr<MeasuredEvaluation>> ways;
  std::vector<BenchCase> cases;
  // Every rank counts the images that are through.
  const double work = static_cast<double>(config.evaluation.images.size()) / world.size();
  for (const auto& precision : config.precisions)
    for (const bool leaving : config.leaving) {
      ways.push_back(std::make_unique<MeasuredEvaluation>(config.evaluation, precision, leaving, world));
      auto& way = *ways.back();
      cases.push_back({way.name(), work, [&way] { way.run(); }, {}, [&way] { way.warm_up(); }});
    }
  BenchReport report{"defend", settings_of(config.evaluation, world), {}, {}};
  report.figures = measure_in_turns(cases, "images/s", config.repeats, 0, world);
  for (std::size_t a = 0; a < ways.size(); ++a)
    for (std::size_t b = a + 1; b < ways.size(); ++b)
      if (ways[a]->like(*ways[b])) report.ratios.push_back(ratio_of(report.figures[b], report.figures[a]));
  for (const auto& way : ways)
    for (auto& cost : way->costs()) report.figures.push_back(std::move(cost));
  return report;
}

}  // namespace langrun
