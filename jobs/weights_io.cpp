#include "jobs/weights_io.h"

#include <fmt/format.h>
#include "core/torch.h"

#include "jobs/module_weights.h"

namespace langrun {

WeightsWriter::WeightsWriter(const std::filesystem::path& path) : file_(h5::File::create(path)) {}

void WeightsWriter::part(const std::string& name, const NamedTensors& tensors, const WeightFacts& facts) {
  write_weights(file_, WeightsPart{name, facts, arrays_of(tensors)});
}

void WeightsWriter::close() { file_.close(); }

void WeightsReader::into(const std::string& part, const NamedTensors& tensors) const {
  NamedShapes given;
  for (auto& entry : file_.entries(part)) given[entry.name] = std::move(entry.shape);
  check_tensors(tensors, given, fmt::format("{}: {}", file_.path().string(), part));
  const torch::NoGradGuard constant;
  for (const auto& [name, tensor] : tensors) {
    auto values = torch::empty(tensor.sizes());
    file_.read_into(part, name, {values.mutable_data_ptr<float>(), static_cast<std::size_t>(values.numel())});
    auto target = tensor;
    target.copy_(values);
  }
}

NamedTensors prefixed(const std::string& prefix, const NamedTensors& tensors) {
  NamedTensors renamed;
  for (const auto& [name, tensor] : tensors) renamed.emplace_back(prefix + name, tensor);
  return renamed;
}

}  // namespace langrun
