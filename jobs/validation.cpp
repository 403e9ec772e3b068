#include "jobs/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/device_transfer.h"
#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr std::uint64_t kCall = 100;  // images

}  // namespace

Validation::Validation(const std::string& store, const ImageShape& image, const std::vector<std::string>& classes)
    : data_(store, image) {
  if (data_.classes() != classes)
    throw Error(ExitCode::input,
                fmt::format("{} has {} classes ('{}', ...), the training images {} ('{}', ...)", store,
                            data_.classes().size(), data_.classes().front(), classes.size(), classes.front()),
                "name a --validation.data of the same classes, in the same order");
}

double Validation::accuracy(Classifier& classifier, const at::Device& device, Communicator& world) {
  const torch::NoGradGuard constant;
  const auto ranks = static_cast<std::uint64_t>(world.size());
  std::int64_t own = 0;
  for (auto call = static_cast<std::uint64_t>(world.rank()); call * kCall < count(); call += ranks)
    own += correct_in_call(classifier, device, call);
  std::int64_t correct = 0;
  // Whole numbers, so the order of adding does not matter.
  for (const auto& bytes : world.gather_all("validation", std::as_bytes(std::span(&own, 1)))) {
    std::int64_t theirs = 0;
    std::memcpy(&theirs, bytes.data(), sizeof theirs);
    correct += theirs;
  }
  return static_cast<double>(correct) / static_cast<double>(count());
}

std::int64_t Validation::correct_in_call(Classifier& classifier, const at::Device& device, std::uint64_t call) {
  const auto first = call * kCall, images = std::min(kCall, count() - first);
  std::vector<std::uint64_t> indices(kCall, first);
  std::iota(indices.begin(), indices.begin() + static_cast<std::ptrdiff_t>(images), first);
  const auto logits = classifier.logits(to_device(data_.images(indices), device)).to(torch::kCPU);
  const auto right = logits.argmax(1) == data_.labels_of(indices);
  return right.narrow(0, 0, static_cast<std::int64_t>(images)).sum().item<std::int64_t>();
}

}  // namespace langrun
