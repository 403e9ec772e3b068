// What the tests of scores share: stores, a classifier's weights, TorchScript nets.
#pragma once

#include <torch/script.h>

#include <string>
#include <utility>
#include <vector>

#include "core/module_tensors.h"
#include "core/networks/classifier.h"
#include "core/torch.h"
#include "data/hdf5.h"
#include "data/weights_file.h"
#include "jobs/module_weights.h"
#include "jobs/score.h"
#include "weights_support.h"

namespace langrun::testing {

/// A store of patterned images; `phase` makes another set.
inline void make_store(const std::filesystem::path& path, std::uint64_t count, std::uint64_t size, unsigned phase) {
  std::vector<std::uint8_t> pixels(count * size * size * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>((i * 2654435761u >> (phase + 7)) ^ (i / 97));
  auto file = h5::File::create(path);
  file.write("/images", {count, size, size, 3}, pixels.data());
  file.write("/labels", {count}, std::vector<std::int64_t>(count, 0).data());
  file.write_attribute("/", "classes", std::vector<std::string>{"all"});
  file.close();
}

/// ResNet-20 with weights that are not zero, without any file from outside.
inline void make_weights(const std::filesystem::path& path) {
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

/// A TorchScript module whose forward is `body`, of x [B, 3, H, W].
inline void make_script(const std::filesystem::path& path, const std::string& body) {
  torch::jit::Module module("Features");
  module.define("def forward(self, x):\n" + body);
  module.save(path.string());
}

// Twelve features: means of the quarters of each channel.
constexpr const char* kQuarters = "    return torch.flatten(torch.adaptive_avg_pool2d(x, [2, 2]), 1)\n";

class ScoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    make_store(scratch / "a.h5", 130, 32, 0);
    make_store(scratch / "b.h5", 150, 32, 3);
    make_weights(scratch / "w.h5");
    config.a = (scratch / "a.h5").string();
    config.b = (scratch / "b.h5").string();
    make_script(scratch / "quarters.pt", kQuarters);
    config.features.file = (scratch / "w.h5").string();
    config.block = 40;
  }
  ScoreResult run() {
    const auto world = make_solo_communicator();
    return score(config, *world, [this](std::int64_t done, std::int64_t all) { progress = {done, all}; });
  }
  void use_script(const std::string& body = kQuarters) {
    const auto path = scratch / "script.pt";
    std::filesystem::remove(path);
    make_script(path, body);
    config.features = {path.string(), 0, "0:1"};
  }
  std::string refusal(ExitCode code) {
    const auto text = error_of(code, [&] { run(); });
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  }
  Scratch scratch;
  ScoreConfig config;
  std::pair<std::int64_t, std::int64_t> progress;
};

}  // namespace langrun::testing
