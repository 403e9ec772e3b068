#include "jobs/module_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

std::string some(std::vector<std::string> names) {
  constexpr std::size_t kMost = 8;
  const auto all = names.size();
  names.resize(std::min(all, kMost));
  return fmt::format("{}{}", fmt::join(names, ", "), all > kMost ? fmt::format(", and {} more", all - kMost) : "");
}

ArrayShape shape_of(const at::Tensor& tensor) { return {tensor.sizes().begin(), tensor.sizes().end()}; }

}  // namespace

void check_tensors(const NamedTensors& tensors, const NamedShapes& given, const std::string& where) {
  std::vector<std::string> missing, unexpected, wrong;
  std::set<std::string> wanted;
  for (const auto& [name, tensor] : tensors) {
    wanted.insert(name);
    const auto found = given.find(name);
    if (found == given.end())
      missing.push_back(name);
    else if (found->second != shape_of(tensor))
      wrong.push_back(
          fmt::format("{} ({} given, {} expected)", name, to_text(found->second), to_text(shape_of(tensor))));
  }
  for (const auto& [name, shape] : given)
    if (!wanted.contains(name)) unexpected.push_back(name);
  std::vector<std::string> faults;
  if (!missing.empty()) faults.push_back("missing: " + some(missing));
  if (!unexpected.empty()) faults.push_back("unexpected: " + some(unexpected));
  if (!wrong.empty()) faults.push_back("of another shape: " + some(wrong));
  if (faults.empty()) return;
  throw Error(ExitCode::input,
              fmt::format("the weights in {} do not fit the network; {}", where, fmt::join(faults, "; ")),
              "check the network's name and width");
}

std::vector<NamedArray> arrays_of(const NamedTensors& tensors) {
  std::vector<NamedArray> arrays;
  for (const auto& [name, tensor] : tensors) {
    const auto values = tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
    const std::span<const float> view(values.const_data_ptr<float>(), static_cast<std::size_t>(values.numel()));
    if (values.is_alias_of(tensor))
      arrays.emplace_back(name, shape_of(tensor), view);
    else
      arrays.emplace_back(name, shape_of(tensor), std::vector<float>(view.begin(), view.end()));
  }
  return arrays;
}

void load_arrays(const NamedTensors& tensors, const std::vector<NamedArray>& arrays, const std::string& where) {
  NamedShapes given;
  std::map<std::string, const NamedArray*> by_name;
  for (const auto& array : arrays) {
    given[array.name] = array.shape;
    by_name[array.name] = &array;
  }
  check_tensors(tensors, given, where);
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : tensors) {
    auto target = tensor;
    target.copy_(
        torch::from_blob(const_cast<float*>(by_name.at(name)->data().data()), tensor.sizes(), torch::kFloat32));
  }
}

WeightsPart copied_part(const std::string& part, const NamedTensors& tensors, const WeightFacts& facts) {
  WeightsPart copied{part, facts, {}};
  for (auto& array : arrays_of(tensors)) {
    if (!array.borrowed.empty()) array.values.assign(array.borrowed.begin(), array.borrowed.end());
    copied.arrays.emplace_back(array.name, array.shape, std::move(array.values));
  }
  return copied;
}

void read_part(const WeightsFile& file, const std::string& part, const NamedTensors& tensors) {
  NamedShapes given;
  for (const auto& entry : file.entries(part)) given[entry.name] = entry.shape;
  check_tensors(tensors, given, fmt::format("{}: {}", file.path().string(), part));
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : tensors) {
    auto values = torch::empty(tensor.sizes());
    file.read_into(part, name, {values.mutable_data_ptr<float>(), static_cast<std::size_t>(values.numel())});
    auto target = tensor;
    target.copy_(values);
  }
}

}  // namespace langrun
