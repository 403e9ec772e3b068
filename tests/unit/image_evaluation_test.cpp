// One image's evaluation, answered by hand: the attack's gradient is the authors' (identity through the chains), and
// the record tells of it whatever is scored.
#include "jobs/image_evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "core/networks/classifier.h"
#include "core/torch.h"
#include "jobs/judge_calls.h"
#include "jobs/judge_net.h"
#include "jobs/module_weights.h"
#include "score_support.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

constexpr std::int64_t kReplicates = 3, kCall = 4;

/// Where a chain of this identity ends: anything but linear, and with noise of its own.
at::Tensor chain_end(const at::Tensor& x, const StageIdentity& stage, std::uint64_t replicate) {
  auto generator = at::detail::createCPUGenerator(chain_of(stage, replicate) * 2654435761u + 17);
  return 0.9 * x + 0.05 * torch::sin(7 * x) + 0.1 * at::randn(x.sizes(), generator, at::kFloat);
}

/// The authors' chain: forwards where it ends, backwards as if it were not there.
struct IdentityBackwards : torch::autograd::Function<IdentityBackwards> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& /*x*/, const at::Tensor& end) {
    return end.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradient) {
    return {gradient[0], at::Tensor()};
  }
};

/// Answers an image's coroutine as the engine does, with a real classifier.
class Answers {
 public:
  explicit Answers(JudgeNet& net) : calls_(net) {}

  void carry_out(const EvaluationConfig& config, const EvaluatedImage& image, ImageRecord& record) {
    StageChannel channel;
    auto task = evaluate_image(config, 10, image, channel, record);
    task.start();
    while (!task.done()) {
      if (channel.cotangents()) {
        channel.answer_gradients(gradients(*channel.cotangents()));
      } else {
        channel.answer(stage(channel.request()));
      }
      channel.resume();
    }
    task.check();
  }
  /// Requests that were made, by purpose.
  std::map<Purpose, std::vector<StageRequest>> asked;

 private:
  StageResult stage(const StageRequest& request) {
    asked[request.identity.purpose].push_back(request);
    std::vector<at::Tensor> ends;
    for (std::int64_t h = 0; h < request.replicates; ++h)
      ends.push_back(chain_end(request.image, request.identity, static_cast<std::uint64_t>(h))
                         .unsqueeze(0)
                         .contiguous(at::MemoryFormat::ChannelsLast));
    StageResult result;
    result.logits = calls_.logits(ends, std::vector<bool>(ends.size(), request.gradient));
    result.first_energy = torch::full({request.replicates}, request.image.sum().item<float>());
    result.last_energy = torch::arange(request.replicates).to(at::kFloat);
    if (request.pictured) result.purified = ends.front().squeeze(0);
    return result;
  }
  at::Tensor gradients(const at::Tensor& cotangents) {
    std::vector<JudgeCalls::Wanted> wanted;
    for (std::int64_t h = 0; h < cotangents.size(0); ++h)
      wanted.push_back({static_cast<std::size_t>(h), cotangents[h]});
    return at::cat(calls_.gradients(wanted));
  }

  JudgeCalls calls_;
};

class ImageEvaluationTest : public ::testing::Test {
 protected:
  ImageEvaluationTest() {
    write_classifier(scratch_ / "w.h5");
    JudgeNetConfig net;
    net.file = (scratch_ / "w.h5").string();
    judge_ = open_judge_net(net, {3, 32, 32}, kCall, true, at::kCPU);
    config_.attack.norm = "l2";  // the step then tells the whole gradient's direction
    config_.attack.eps = 100;
    config_.attack.alpha = 1;
    config_.attack.steps = 1;
    config_.attack.start = "none";
    config_.attack.replicates = kReplicates;
    config_.defense.replicates = 2;
    config_.rules = {.verified_any_step = false, .any_step = true, .null_control = false};
    config_.packing.leaving = false;
    config_.langevin.steps = 5;
    image_.index = 12;
    image_.pixels = (some_images(1, 32, 3)[0] * 0.5).clamp(-0.4, 0.4);
    image_.label = natural_label();
  }

  /// ResNet-20 of drawn weights, whose logits are about one: a sure classifier's gradients would vanish.
  static void write_classifier(const std::filesystem::path& path) {
    const ClassifierConfig config;
    const auto net = make_classifier(config, 3);
    const torch::NoGradGuard constant;
    net->eval();
    const auto size = net->logits(some_images(kCall, 32)).abs().max().item<double>();
    for (auto& weight : net->named_parameters())
      if (weight.key().starts_with("linear.")) weight.value().div_(size);
    std::vector<WeightsPart> parts;
    parts.push_back({"classifier", {{"network", "resnet20"}}, arrays_of(named_state(*net))});
    write_weights_file(path, parts);
  }

  /// [H, classes] of chains of one stage, with a graph where x has one.
  at::Tensor logits_of(const std::vector<at::Tensor>& ends) {
    auto call = ends;
    while (static_cast<std::int64_t>(call.size()) < kCall) call.push_back(ends.front().detach());
    return judge_->logits(torch::stack(call)).slice(0, 0, static_cast<std::int64_t>(ends.size()));
  }
  std::int64_t natural_label() {
    const torch::NoGradGuard constant;
    const StageIdentity natural{image_.index, Purpose::natural, 0, 0};
    return logits_of({chain_end(image_.pixels, natural, 0), chain_end(image_.pixels, natural, 1)})
        .mean(0)
        .argmax()
        .item<std::int64_t>();
  }

  testing::Scratch scratch_;
  std::unique_ptr<JudgeNet> judge_;
  EvaluationConfig config_;
  EvaluatedImage image_;
};

at::Tensor loss_of(const at::Tensor& logits, std::int64_t label, const std::string& average) {
  const auto labels = [&](std::int64_t count) { return torch::full({count}, label); };
  if (average == "loss") return torch::cross_entropy_loss(logits, labels(logits.size(0)));
  auto rows = logits;
  if (average == "softmax") rows = torch::softmax(logits, 1);
  if (average == "logsoftmax") rows = torch::log_softmax(logits, 1);
  return torch::cross_entropy_loss(rows.mean(0, true), labels(1));
}

TEST_F(ImageEvaluationTest, TheGradientIsBpdaWithTheMeanOverReplicates) {
  for (const char* average : {"logits", "softmax", "logsoftmax", "loss"}) {
    SCOPED_TRACE(average);
    config_.attack.average = average;
    ImageRecord record;
    Answers answers(*judge_);
    answers.carry_out(config_, image_, record);

    const StageIdentity stage{image_.index, Purpose::small_sample, 0, 0};
    const torch::AutoGradMode grad(true);
    const auto x = image_.pixels.clone().requires_grad_();
    std::vector<at::Tensor> ends;
    for (std::uint64_t h = 0; h < kReplicates; ++h)
      ends.push_back(IdentityBackwards::apply(x, chain_end(image_.pixels, stage, h)));
    const auto loss = loss_of(logits_of(ends), image_.label, average);
    const auto by_end = torch::autograd::grad({loss}, ends, {}, /*retain_graph=*/true);
    const auto expected = torch::autograd::grad({loss}, {x})[0];

    ASSERT_EQ(record.small.size(), 2U);
    EXPECT_NEAR(record.small[0].loss, loss.item<float>(), 1e-5 * std::abs(loss.item<float>()));
    EXPECT_NEAR(record.small[0].gradient_norm / expected.norm().item<float>(), 1, 1e-5);
    const auto rest = by_end[1] + by_end[2];
    const auto cosine = (by_end[0] * rest).sum() / (by_end[0].norm() * rest.norm());
    EXPECT_NEAR(record.small[0].cosine, cosine.item<float>(), 1e-5) << "of the first replicate and the two others";
    EXPECT_TRUE(std::isnan(record.small[1].gradient_norm)) << "nobody climbs from the last image";

    const auto& samples = answers.asked.at(Purpose::small_sample);
    ASSERT_EQ(samples.size(), 2U);
    EXPECT_TRUE(torch::equal(samples[0].image, image_.pixels));
    const auto step = samples[1].image - samples[0].image;
    EXPECT_LT(samples[1].image.abs().max().item<double>(), 1) << "the pixel range would hide the step";
    EXPECT_NEAR(step.norm().item<double>(), 2, 1e-4) << "alpha on [0, 1]";
    EXPECT_LT(relative_difference(step / step.norm(), expected / expected.norm()), 1e-5);
  }
}

TEST_F(ImageEvaluationTest, GradientsAreKeptWhereNoRuleLooksAtSmallSamples) {
  config_.rules = {.verified_any_step = false, .any_step = false, .null_control = false, .final_step = true};
  config_.attack.steps = 2;
  ImageRecord record;
  Answers answers(*judge_);
  answers.carry_out(config_, image_, record);
  ASSERT_EQ(record.small.size(), 2U) << "one of each step";
  for (std::uint32_t n = 0; n < 2; ++n) {
    const auto& seen = record.small[n];
    EXPECT_EQ(seen.purpose, Purpose::gradient);
    EXPECT_EQ(seen.step, n);
    EXPECT_GT(seen.gradient_norm, 0);
    EXPECT_FALSE(std::isnan(seen.cosine));
  }
  // The rules see what they saw: an attack without small samples, judged at its end.
  const auto scoring = scoring_of(config_, 10);
  const auto opinion = recorded_opinion(record.label);
  EXPECT_EQ(broken_at(record, Rule::any_step, scoring, opinion), std::vector<std::int64_t>{kUncovered});
  EXPECT_NE(broken_at(record, Rule::final_step, scoring, opinion), std::vector<std::int64_t>{kUncovered});
  EXPECT_EQ(checks_made(record, Rule::any_step, scoring), 0);
}

TEST_F(ImageEvaluationTest, ChecksKeepTheirEnergies) {
  ImageRecord record;
  Answers answers(*judge_);
  answers.carry_out(config_, image_, record);
  ASSERT_EQ(record.judge.front().purpose, Purpose::natural);
  EXPECT_EQ(record.judge.front().first_energy, image_.pixels.sum().item<float>());
  EXPECT_EQ(record.judge.front().last_energy, 0.5f) << "mean over two replicates";
}

std::vector<float> values_of(const at::Tensor& image) {
  const auto flat = image.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

// Auto-PGD hands over its best image, which is seldom its last: the pictures are of what final_step judges.
TEST_F(ImageEvaluationTest, PicturesAreOfTheImageThatIsHandedOver) {
  config_.attack.kind = "apgd-ce";
  config_.attack.eps = 0.02;
  config_.rules.final_step = true;
  image_.pictured = true;
  int others = 0;
  for (std::int64_t steps = 3; steps < 7; ++steps) {
    config_.attack.steps = steps;
    ImageRecord record;
    Answers answers(*judge_);
    answers.carry_out(config_, image_, record);
    const auto& judged = answers.asked.at(Purpose::final_judge).front();
    const auto& last = answers.asked.at(Purpose::small_sample).back();
    EXPECT_EQ(record.adversarial, values_of(judged.image)) << steps;
    const bool other = !torch::equal(judged.image, last.image);
    others += other;
    EXPECT_EQ(judged.pictured, other) << "small samples have shown where their own image goes";
    const auto& shown = other ? judged : last;
    EXPECT_EQ(record.purified_adversarial, values_of(chain_end(shown.image, shown.identity, 0))) << steps;
  }
  EXPECT_GT(others, 0) << "the best image was always the last";
  // Where no rule looks at it, the attack's last image is shown.
  config_.rules.final_step = false;
  ImageRecord record;
  Answers answers(*judge_);
  answers.carry_out(config_, image_, record);
  EXPECT_EQ(record.adversarial, values_of(answers.asked.at(Purpose::small_sample).back().image));
}

}  // namespace
}  // namespace langrun
