#include "jobs/module_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/module_tensors.h"

namespace langrun {
namespace {

std::string some(std::vector<std::string> names) {
  constexpr std::size_t kMost = 8;
  const auto all = names.size();
  names.resize(std::min(all, kMost));
  return fmt::format("{}{}", fmt::join(names, ", "), all > kMost ? fmt::format(", and {} more", all - kMost) : "");
}

ArrayShape shape_of(const at::Tensor& tensor) { return {tensor.sizes().begin(), tensor.sizes().end()}; }

/// Names and shapes given against those of the network; throws where they differ.
void check(const NamedTensors& state, const std::map<std::string, ArrayShape>& given, const std::string& where) {
  std::vector<std::string> missing, unexpected, wrong;
  std::map<std::string, const at::Tensor*> wanted;
  for (const auto& [name, tensor] : state) {
    wanted[name] = &tensor;
    const auto found = given.find(name);
    if (found == given.end()) missing.push_back(name);
    else if (found->second != shape_of(tensor))
      wrong.push_back(fmt::format("{} ({} given, {} expected)", name, to_text(found->second), to_text(shape_of(tensor))));
  }
  for (const auto& [name, shape] : given)
    if (!wanted.contains(name)) unexpected.push_back(name);
  std::vector<std::string> faults;
  if (!missing.empty()) faults.push_back("missing: " + some(missing));
  if (!unexpected.empty()) faults.push_back("unexpected: " + some(unexpected));
  if (!wrong.empty()) faults.push_back("of another shape: " + some(wrong));
  if (faults.empty()) return;
  throw Error(ExitCode::input, fmt::format("the weights in {} do not fit the network; {}", where, fmt::join(faults, "; ")),
              "check the network's name and width");
}

/// Host memory for a tensor's values: the tensor itself where it lies there contiguous as float32, else a new one.
at::Tensor host(const at::Tensor& tensor) { return tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous(); }

}  // namespace

std::vector<NamedArray> module_arrays(const torch::nn::Module& module) {
  std::vector<NamedArray> arrays;
  for (const auto& [name, tensor] : named_state(module)) {
    const auto values = host(tensor);
    const std::span<const float> view(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()));
    if (values.is_alias_of(tensor)) arrays.emplace_back(name, shape_of(tensor), view);
    else arrays.emplace_back(name, shape_of(tensor), std::vector<float>(view.begin(), view.end()));
  }
  return arrays;
}

void load_module(torch::nn::Module& module, const std::vector<NamedArray>& arrays, const std::string& where) {
  const auto state = named_state(module);
  std::map<std::string, ArrayShape> given;
  std::map<std::string, const NamedArray*> by_name;
  for (const auto& array : arrays) {
    given[array.name] = array.shape;
    by_name[array.name] = &array;
  }
  check(state, given, where);
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state) {
    const auto values = by_name.at(name)->data();
    tensor.copy_(torch::from_blob(const_cast<float*>(values.data()), tensor.sizes(), torch::kFloat32));
  }
}

void load_module(torch::nn::Module& module, const WeightsFile& file, const std::string& part) {
  const auto state = named_state(module);
  std::map<std::string, ArrayShape> given;
  for (auto& entry : file.entries(part)) given[entry.name] = entry.shape;
  check(state, given, fmt::format("{} /{}", file.path().string(), part));
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state) {
    auto values = host(tensor);
    file.read_into(part, name, {values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
    if (!values.is_alias_of(tensor)) tensor.copy_(values);
  }
}

}  // namespace langrun
