// What the tests of scores share: stores, a classifier's weights, TorchScript nets.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "core/torch.h"
#include "jobs/score.h"
#include "weights_support.h"

namespace langrun::testing {

/// A store of patterned images; `phase` makes another set.
void make_store(const std::filesystem::path& path, std::uint64_t count, std::uint64_t size, unsigned phase);
/// ResNet-20 with weights that are not zero, without any file from outside.
void make_weights(const std::filesystem::path& path);
/// A TorchScript module whose forward is `body`, of x [B, 3, H, W].
void make_script(const std::filesystem::path& path, const std::string& body);

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
