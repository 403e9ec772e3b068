// Classifiers that somebody else wrote, as an evaluation opens them.
#include "jobs/judge_net.h"

#include <gtest/gtest.h>

#include "jobs/judge_calls.h"
#include "score_support.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::kQuarters;
using testing::make_script;
using testing::Scratch;

constexpr std::int64_t kCall = 4;
const ImageShape kImages{3, 32, 32};

JudgeNetConfig taking(const std::string& range) {
  JudgeNetConfig config;
  config.range = range;
  return config;
}

class JudgeNetTest : public ::testing::Test {
 protected:
  std::unique_ptr<JudgeNet> open(const std::string& body, bool wants_gradient = true) {
    std::filesystem::remove(scratch / "judge.pt");
    make_script(scratch / "judge.pt", body);
    config.file = (scratch / "judge.pt").string();
    return open_judge_net(config, kImages, kCall, wants_gradient, at::kCPU);
  }
  std::string refusal(ExitCode code, const std::string& body, bool wants_gradient = true) {
    const auto text = error_of(code, [&] { open(body, wants_gradient); });
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  }
  Scratch scratch;
  JudgeNetConfig config = taking("0:1");
};

// Twelve logits, and further operations on them.
std::string quarters_and(const std::string& rest) {
  return "    y = torch.flatten(torch.adaptive_avg_pool2d(x, [2, 2]), 1)\n" + rest;
}

TEST_F(JudgeNetTest, ScriptsGetTheirOwnRangeAndSize) {
  const auto x = some_images(kCall, 32);
  const auto means = [&](const at::Tensor& y) { return torch::adaptive_avg_pool2d(y, {2, 2}).flatten(1); };
  const auto net = open(kQuarters);
  EXPECT_EQ(net->facts().classes, 12);
  EXPECT_EQ(net->facts().network, "torchscript");
  EXPECT_EQ(net->call(), kCall);
  EXPECT_TRUE(net->facts().place_free);
  EXPECT_TRUE(torch::allclose(net->logits(x), means((x + 1) / 2), 1e-5, 1e-6));
  config.range = "0:255";
  EXPECT_TRUE(torch::allclose(open(kQuarters)->logits(x), means((x + 1) * 127.5), 1e-5, 1e-3));
  config.range = "-1:1";
  EXPECT_TRUE(torch::allclose(open(kQuarters)->logits(x), means(x), 1e-5, 1e-6));
  config.range = "normalised";
  config.mean = "0.5,0.4,0.3";
  config.deviation = "0.2,0.25,0.5";
  const auto row = [](double r, double g, double b) {
    return torch::tensor({r, g, b}).view({1, 3, 1, 1}).to(at::kFloat);
  };
  const auto scaled = ((x + 1) / 2 - row(0.5, 0.4, 0.3)) / row(0.2, 0.25, 0.5);
  EXPECT_TRUE(torch::allclose(open(kQuarters)->logits(x), means(scaled), 1e-4, 1e-5));
  config = taking("0:1");
  config.size = 8;
  EXPECT_EQ(open("    return torch.flatten(x, 1)\n")->facts().classes, 3 * 8 * 8);
}

TEST_F(JudgeNetTest, WithoutAGradientIsRefusedWhereOneIsWanted) {
  const auto cut = quarters_and("    return y.detach()\n");
  EXPECT_NE(refusal(ExitCode::input, cut).find("gives no gradient"), std::string::npos);
  EXPECT_EQ(open(cut, /*wants_gradient=*/false)->facts().classes, 12) << "nobody asks for it";
}

TEST_F(JudgeNetTest, LogitsThatDependOnThePlaceAreCalledOneByOne) {
  const auto net = open(quarters_and("    return y + 0.001 * torch.arange(x.size(0)).unsqueeze(1)\n"));
  EXPECT_FALSE(net->facts().place_free);
  EXPECT_EQ(net->call(), 1);
}

TEST_F(JudgeNetTest, LogitsThatDependOnNeighboursAreCalledOneByOne) {
  // As a batch norm that was never told to stop training: the same for every order of the call.
  const auto net = open(quarters_and("    return y - y.max()\n"));
  EXPECT_FALSE(net->facts().place_free);
  EXPECT_EQ(net->call(), 1);
  EXPECT_EQ(open(quarters_and("    return y - y.mean(0, keepdim=True)\n"))->call(), 1);
}

TEST_F(JudgeNetTest, CallsAreOfOneShapeForAnyNumberOfImages) {
  for (const bool place_free : {true, false}) {
    const auto net = open(place_free ? std::string(kQuarters)
                                     : quarters_and("    return y + 0.001 * torch.arange(x.size(0)).unsqueeze(1)\n"));
    JudgeCalls calls(*net);
    std::vector<at::Tensor> images;
    for (std::uint64_t i = 0; i < 7; ++i)
      images.push_back(some_images(1, 32, i + 1).contiguous(at::MemoryFormat::ChannelsLast));
    const auto logits = calls.logits(images, {true, false, true, true, false, true, true});
    // Five of which a gradient may be asked and two others: two calls and one of four.
    EXPECT_EQ(calls.calls(), place_free ? 3U : 7U);
    for (std::int64_t i = 0; i < 7; ++i) {
      const auto x = (images[static_cast<std::size_t>(i)] + 1) / 2;
      EXPECT_TRUE(torch::allclose(logits[i], torch::adaptive_avg_pool2d(x, {2, 2}).flatten(), 1e-5, 1e-6)) << i;
    }
    std::vector<JudgeCalls::Wanted> wanted;
    for (const std::size_t i : {6U, 0U, 5U, 3U, 2U})
      wanted.push_back({i, torch::arange(12.0).to(at::kFloat) + static_cast<double>(i)});
    const auto gradients = calls.gradients(wanted);
    for (std::size_t w = 0; w < wanted.size(); ++w) {
      // The mean of a quarter's 256 pixels, at half the slope by the range.
      const auto expected =
          (wanted[w].cotangent.view({1, 3, 2, 2}) / 512).repeat_interleave(16, 2).repeat_interleave(16, 3);
      EXPECT_TRUE(torch::allclose(gradients[w], expected, 1e-5, 1e-8)) << w;
    }
  }
}

TEST_F(JudgeNetTest, RefusesWhatIsNoClassifierOfTheImages) {
  EXPECT_NE(refusal(ExitCode::input, "    return torch.flatten(x)\n").find("for 4 images"), std::string::npos);
  EXPECT_NE(refusal(ExitCode::input, "    return x.mean(1)\n").find("for 4 images"), std::string::npos);
  EXPECT_NE(refusal(ExitCode::input, "    return [x]\n").find("expected a tensor"), std::string::npos);
  EXPECT_NE(refusal(ExitCode::input, "    return x.view(-1, 7)\n").find("does not take images"), std::string::npos);
}

TEST_F(JudgeNetTest, SettingsGoWithTheKindOfFile) {
  config.range = "none";
  EXPECT_NE(refusal(ExitCode::usage, kQuarters).find("--classifier.range"), std::string::npos);
  config.range = "normalised";
  EXPECT_NE(refusal(ExitCode::usage, kQuarters).find("mean"), std::string::npos);
  config.mean = "0.5,0.5";
  config.deviation = "1,1,1";
  EXPECT_NE(refusal(ExitCode::usage, kQuarters).find("three numbers"), std::string::npos);
  testing::make_weights(scratch / "w.h5");
  config = taking("0:1");
  config.file = (scratch / "w.h5").string();
  error_of(ExitCode::usage, [&] { open_judge_net(config, kImages, kCall, true, at::kCPU); });
}

TEST_F(JudgeNetTest, BuiltInNetworksKnowWhatTheyTake) {
  testing::make_weights(scratch / "w.h5");
  config = taking("none");
  config.file = (scratch / "w.h5").string();
  const auto net = open_judge_net(config, kImages, kCall, true, at::kCPU);
  EXPECT_EQ(net->facts().network, "resnet20");
  EXPECT_EQ(net->facts().classes, 10);
  const auto x = some_images(kCall, 32).requires_grad_();
  const auto logits = net->logits(x);
  EXPECT_GT(torch::autograd::grad({logits}, {x}, {torch::ones_like(logits)})[0].abs().max().item<double>(), 0);
  const auto text = error_of(ExitCode::input, [&] { open_judge_net(config, {3, 64, 64}, kCall, true, at::kCPU); });
  EXPECT_NE(text.find("64"), std::string::npos);
}

}  // namespace
}  // namespace langrun
