#include "jobs/weights_io.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>

#include "core/error.h"

namespace langrun {

WeightsWriter::WeightsWriter(const std::filesystem::path& path) : file_(h5::File::create(path)) {}

void WeightsWriter::part(const std::string& name, const NamedTensors& tensors, const WeightFacts& facts) {
  std::vector<at::Tensor> kept;  // the arrays below show these tensors' memory
  WeightsPart part{name, facts, {}};
  for (const auto& [key, tensor] : tensors) {
    kept.push_back(tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous());
    const auto& values = kept.back();
    part.arrays.emplace_back(key, values.sizes().vec(),
                             std::span(values.const_data_ptr<float>(), static_cast<std::size_t>(values.numel())));
  }
  write_weights(file_, part);
}

void WeightsWriter::close() { file_.close(); }

void WeightsReader::into(const std::string& part, const NamedTensors& tensors) const {
  const torch::NoGradGuard constant;
  const auto entries = file_.entries(part);
  const auto where = fmt::format("{}: {}", file_.path().string(), part);
  for (const auto& [name, tensor] : tensors) {
    const auto found = std::find_if(entries.begin(), entries.end(), [&, &key = name](const auto& e) { return e.name == key; });
    if (found == entries.end())
      throw Error(ExitCode::input, fmt::format("{} lacks {}", where, name), "the weights are of another network or width");
    if (found->shape != tensor.sizes().vec())
      throw Error(ExitCode::input, fmt::format("{}: {} is {}, expected {}", where, name, to_text(found->shape),
                                               to_text(tensor.sizes().vec())),
                  "the weights are of another network or width");
    auto values = torch::empty(tensor.sizes());
    file_.read_into(part, name, {values.mutable_data_ptr<float>(), static_cast<std::size_t>(values.numel())});
    auto target = tensor;
    target.copy_(values);
  }
  if (entries.size() == tensors.size()) return;
  for (const auto& entry : entries)
    if (std::none_of(tensors.begin(), tensors.end(), [&](const auto& t) { return t.first == entry.name; }))
      throw Error(ExitCode::input, fmt::format("{} holds {}, which the network does not have", where, entry.name),
                  "the weights are of another network or width");
}

NamedTensors prefixed(const std::string& prefix, const NamedTensors& tensors) {
  NamedTensors renamed;
  for (const auto& [name, tensor] : tensors) renamed.emplace_back(prefix + name, tensor);
  return renamed;
}

}  // namespace langrun
