#include "core/networks/classifier.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/networks/resnet_cifar.h"

namespace langrun {
namespace {

struct CifarResnet {
  const char* name;
  std::int64_t blocks;
};
constexpr CifarResnet kCifarResnets[] = {{"resnet20", 3}, {"resnet32", 5}, {"resnet44", 7}, {"resnet56", 9}};
constexpr std::int64_t kMostClasses = 1'000'000;

}  // namespace

std::vector<std::string> classifier_names() {
  std::vector<std::string> names;
  for (const auto& net : kCifarResnets) names.emplace_back(net.name);
  return names;
}

std::shared_ptr<Classifier> make_classifier(const std::string& name, std::int64_t classes) {
  if (classes < 1 || classes > kMostClasses)
    throw Error(ExitCode::usage, fmt::format("a classifier of {} classes; expected 1 to {}", classes, kMostClasses));
  for (const auto& net : kCifarResnets)
    if (name == net.name) return make_resnet_cifar(net.blocks, classes);
  throw Error(ExitCode::usage, fmt::format("no classifier is called '{}'", name),
              fmt::format("classifiers: {}", fmt::join(classifier_names(), ", ")));
}

}  // namespace langrun
