#include "score_support.h"

#include <torch/script.h>

#include <vector>

#include "core/module_tensors.h"
#include "core/networks/classifier.h"
#include "core/torch.h"
#include "data/hdf5.h"
#include "data/weights_file.h"
#include "jobs/module_weights.h"

namespace langrun::testing {

void make_store(const std::filesystem::path& path, std::uint64_t count, std::uint64_t size, unsigned phase) {
  std::vector<std::uint8_t> pixels(count * size * size * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>((i * 2654435761u >> (phase + 7)) ^ (i / 97));
  auto file = h5::File::create(path);
  file.write("/images", {count, size, size, 3}, pixels.data());
  file.write("/labels", {count}, std::vector<std::int64_t>(count, 0).data());
  file.write_attribute("/", "classes", std::vector<std::string>{"all"});
  file.close();
}

void make_weights(const std::filesystem::path& path) {
  const auto net = make_classifier({.network = "resnet20"});
  const torch::NoGradGuard constant;
  std::int64_t k = 0;
  for (const auto& [name, weight] : named_weights(*net)) {
    auto target = weight;
    if (weight.dim() > 1)
      target.copy_(torch::sin(torch::arange(weight.numel()) * 0.37 + static_cast<double>(++k)).view(weight.sizes()) *
                   0.2);
  }
  std::vector<WeightsPart> parts;
  parts.push_back({"classifier", {{"network", "resnet20"}}, arrays_of(named_state(*net))});
  write_weights_file(path, parts);
}

void make_script(const std::filesystem::path& path, const std::string& body) {
  torch::jit::Module module("Features");
  module.define("def forward(self, x):\n" + body);
  module.save(path.string());
}

}  // namespace langrun::testing
