#include "core/networks/classifier.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/networks/initialise.h"
#include "core/networks/resnet18.h"
#include "core/networks/resnet_cifar.h"
#include "core/networks/wide_resnet.h"
#include "core/torch.h"

namespace langrun {
namespace {

struct Known {
  const char* name;
  const char* normalisation;  ///< of weights that are commonly published
  WeightLaw law;
  std::int64_t width;
  std::shared_ptr<Classifier> (*make)(const ClassifierConfig& config);
};

template <std::int64_t blocks>
std::shared_ptr<Classifier> cifar_resnet(const ClassifierConfig& config) {
  return make_resnet_cifar(config, blocks);
}

constexpr Known kKnown[] = {{"resnet20", "imagenet", WeightLaw::kaiming, 16, cifar_resnet<3>},
                            {"resnet32", "imagenet", WeightLaw::kaiming, 16, cifar_resnet<5>},
                            {"resnet44", "imagenet", WeightLaw::kaiming, 16, cifar_resnet<7>},
                            {"resnet56", "imagenet", WeightLaw::kaiming, 16, cifar_resnet<9>},
                            {"resnet18", "none", WeightLaw::kaiming, 64, make_resnet18},
                            {"wrn28-10", "none", WeightLaw::glorot_relu, 160, make_wide_resnet}};
constexpr std::int64_t kMostClasses = 1'000'000, kWidest = 4096;

const Known& known(const std::string& name) {
  for (const auto& net : kKnown)
    if (name == net.name) return net;
  throw Error(ExitCode::usage, fmt::format("no classifier is called '{}'", name),
              fmt::format("classifiers: {}", fmt::join(classifier_names(), ", ")));
}

}  // namespace

std::vector<std::shared_ptr<LaneBatchNorm>> Classifier::batch_norms() const {
  std::vector<std::shared_ptr<LaneBatchNorm>> norms;
  for (const auto& module : modules(/*include_self=*/false))
    if (auto norm = std::dynamic_pointer_cast<LaneBatchNorm>(module)) norms.push_back(std::move(norm));
  return norms;
}

std::vector<std::string> classifier_names() {
  std::vector<std::string> names;
  for (const auto& net : kKnown) names.emplace_back(net.name);
  return names;
}

std::string usual_normalisation(const std::string& network) { return known(network).normalisation; }

std::shared_ptr<Classifier> make_classifier(const ClassifierConfig& config, std::uint64_t seed) {
  const auto& found = known(config.network);
  auto full = config;
  if (full.width == 0) full.width = found.width;
  if (full.normalisation == "auto") full.normalisation = found.normalisation;
  if (full.classes < 1 || full.classes > kMostClasses)
    throw Error(ExitCode::usage,
                fmt::format("a classifier of {} classes; expected 1 to {}", full.classes, kMostClasses));
  if (full.width < 2 || full.width > kWidest || full.width % 2 != 0)
    throw Error(ExitCode::usage, fmt::format("a classifier of width {}; expected an even number of channels up to {}",
                                             full.width, kWidest));
  auto net = found.make(full);
  initialise(*net, found.law, seed, "classifier");
  net->eval();
  return net;
}

}  // namespace langrun
