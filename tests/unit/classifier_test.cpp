#include "core/networks/classifier.h"

#include <cmath>
#include <utility>

#include "core/module_tensors.h"
#include "core/torch.h"
#include "data/image_source.h"
#include "jobs/feature_net.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/weights_import.h"
#include "weights_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::Scratch;
using testing::shared_file;

TEST(Classifier, WeightCounts) {
  // He et al. 2016, table 6: 0.27 M, 0.46 M, 0.66 M, 0.85 M.
  EXPECT_EQ(weight_count(*make_classifier({.network = "resnet20"})), 269'722);
  EXPECT_EQ(weight_count(*make_classifier({.network = "resnet32"})), 464'154);
  EXPECT_EQ(weight_count(*make_classifier({.network = "resnet44"})), 658'586);
  EXPECT_EQ(weight_count(*make_classifier({.network = "resnet56"})), 853'018);
  EXPECT_EQ(weight_count(*make_classifier({.network = "resnet20", .classes = 100})), 269'722 + 90 * 65);
  // A WRN-28-10 without biases of convolutions has 36,479,194 weights; these add one a channel.
  EXPECT_EQ(weight_count(*make_classifier({.network = "wrn28-10"})), 36'479'194 + 16 + (8 + 1) * (160 + 320 + 640));
  EXPECT_EQ(weight_count(*make_classifier({.network = "resnet18"})), 11'173'962);
  EXPECT_EQ(make_classifier({.network = "resnet18", .width = 32})->feature_length(), 256);
  error_of(ExitCode::usage, [] { make_classifier({.network = "resnet21"}); });
  error_of(ExitCode::usage, [] { make_classifier({.network = "resnet20", .width = 7}); });
  error_of(ExitCode::usage, [] { make_classifier({.network = "resnet20", .normalisation = "mnist"}); });
}

/// Of each network one that is small enough for a test, with running statistics that are not the start's.
std::shared_ptr<Classifier> small(const std::string& name) {
  const auto net = make_classifier({.network = name, .width = name == "wrn28-10" ? 32 : 8}, 3);
  torch::NoGradGuard constant;
  for (const auto& norm : net->batch_norms()) {
    norm->running_mean.uniform_(-0.2, 0.2);
    norm->running_variance.uniform_(0.5, 1.5);
  }
  return net;
}

// On one thread, as ranks compute unless they are told otherwise: on several the library may divide a call inside an
// image, which defend finds out by a probe.
TEST(Classifier, ImagesBitsDependOnNeitherPlaceNorNeighbours) {
  const auto threads = at::get_num_threads();
  at::set_num_threads(1);
  for (const auto& name : classifier_names()) {
    SCOPED_TRACE(name);
    const auto net = small(name);
    const auto answer = [&](const at::Tensor& images) {
      const auto x = images.detach().contiguous(at::MemoryFormat::ChannelsLast).requires_grad_(true);
      const auto logits = net->logits(x);
      return std::pair(logits.detach(), torch::autograd::grad({logits.square().sum()}, {x})[0]);
    };
    const auto images = torch::rand({10, 3, 32, 32}) * 2 - 1, others = torch::rand({9, 3, 32, 32}) * 2 - 1;
    const auto [logits, gradient] = answer(images);
    const auto [turned, turned_gradient] = answer(images.flip(0));
    EXPECT_TRUE(torch::equal(logits, turned.flip(0)));
    EXPECT_TRUE(torch::equal(gradient, turned_gradient.flip(0)));
    const auto [amid, amid_gradient] = answer(torch::cat({others, images.narrow(0, 0, 1)}));
    EXPECT_TRUE(torch::equal(logits[0], amid[9]));
    EXPECT_TRUE(torch::equal(gradient[0], amid_gradient[9]));
  }
  at::set_num_threads(threads);
}

TEST(Classifier, TrainingTakesTheCallsOwnStatistics) {
  for (const auto& name : classifier_names()) {
    SCOPED_TRACE(name);
    const auto net = small(name);
    ASSERT_FALSE(net->batch_norms().empty());
    const auto x = torch::rand({6, 3, 32, 32}) * 2 - 1;
    const auto before = net->logits(x).detach();
    net->train();
    const auto training = net->logits(x);
    EXPECT_FALSE(torch::equal(before, training.detach()));
    training.sum().backward();
    for (const auto& norm : net->batch_norms()) EXPECT_TRUE(norm->lane_mean.defined());
    for (const auto& weight : net->parameters()) EXPECT_TRUE(weight.grad().defined());
    net->eval();
    EXPECT_TRUE(torch::equal(before, net->logits(x).detach()));
  }
}

TEST(Classifier, FirstWeightsFollowTheLaws) {
  const auto of = [](const std::string& network, const std::string& name) {
    const auto net = make_classifier({.network = network}, 5);
    return net->named_parameters()[name].detach().clone();
  };
  const auto kaiming = of("resnet20", "layer3.1.conv1.weight");
  EXPECT_NEAR(kaiming.std().item<double>(), std::sqrt(2.0 / (64 * 9)), 0.02 * std::sqrt(2.0 / (64 * 9)));
  const auto glorot = of("wrn28-10", "layer1.1.conv1.weight");
  const double bound = std::sqrt(2.0) * std::sqrt(6.0 / (2 * 160 * 9));
  EXPECT_LE(glorot.abs().max().item<double>(), bound);
  EXPECT_GT(glorot.abs().max().item<double>(), 0.99 * bound);
  EXPECT_EQ(of("wrn28-10", "layer1.1.conv1.bias").abs().max().item<double>(), 0);
  EXPECT_LE(of("resnet20", "linear.weight").abs().max().item<double>(), 1.0 / 8);
}

TEST(Classifier, ShapesAndGradient) {
  const auto net = make_classifier({.network = "resnet20"});
  auto x = torch::zeros({2, 3, 32, 32}).set_requires_grad(true);
  EXPECT_EQ(net->features(x).sizes(), (at::IntArrayRef{2, 64}));
  const auto logits = net->logits(x);
  EXPECT_EQ(logits.sizes(), (at::IntArrayRef{2, 10}));
  EXPECT_EQ(torch::autograd::grad({logits.sum()}, {x})[0].sizes(), x.sizes());
}

TEST(Classifier, FileIsCheckedTensorByTensor) {
  const auto net = make_classifier({.network = "resnet20"});
  auto arrays = arrays_of(named_state(*net));
  arrays[0].name = "conv0.weight";
  for (auto& array : arrays)
    if (array.name == "linear.bias") array.shape = {5, 2};
  const auto message = error_of(ExitCode::input, [&] { load_arrays(named_state(*net), arrays, "here"); });
  EXPECT_NE(message.find("missing: conv1.weight"), std::string::npos) << message;
  EXPECT_NE(message.find("unexpected: conv0.weight"), std::string::npos) << message;
  EXPECT_NE(message.find("linear.bias ([5, 2] given, [10] expected)"), std::string::npos) << message;
}

// Reference: the same weights under PyTorch and Pillow's decoder give 0.798 on the first 50 images of each class, and
// 0.8102 on all 5000; one image is 0.002 here.
TEST(Classifier, PublishedAccuracyOnTestImages) {
  const auto weights = shared_file("resnet20-cifar10.th"), images = shared_file("cifar10-jpeg-test.tar");
  if (!std::filesystem::exists(weights) || !std::filesystem::exists(images))
    GTEST_SKIP() << "no " << weights << " or " << images;
  const auto net = load_feature_net(weights.string() + ":resnet20");
  const auto source = find_images(images);
  ASSERT_EQ(source.classes.size(), 10u);
  constexpr std::int64_t kPerClass = 50, kSize = 32;
  auto pixels = torch::zeros({10 * kPerClass, kSize, kSize, 3}, torch::kUInt8);
  auto labels = torch::zeros({10 * kPerClass}, torch::kInt64);
  std::vector<std::int64_t> taken(10, 0);
  std::int64_t row = 0;
  SourceReader reader(source, 0, source.entries.size());
  for (SourceReader::Item item; reader.next(item);) {
    const auto& entry = source.entries[item.index];
    if (taken[entry.label]++ >= kPerClass) continue;
    const auto raster = decode_entry(entry, item.bytes, {});
    ASSERT_EQ(raster.bytes(), static_cast<std::size_t>(pixels[row].numel()));
    std::copy(raster.pixels.begin(), raster.pixels.end(), pixels[row].data_ptr<std::uint8_t>());
    labels[row++] = static_cast<std::int64_t>(entry.label);
  }
  ASSERT_EQ(row, 10 * kPerClass);
  const torch::NoGradGuard constant;
  const auto logits = net.classifier->logits(pixels.permute({0, 3, 1, 2}).to(torch::kFloat32) / 127.5 - 1);
  EXPECT_NEAR((logits.argmax(1) == labels).to(torch::kFloat64).mean().item<double>(), 0.798, 0.0021);
}

TEST(FeatureNet, SplitsItsName) {
  EXPECT_EQ(split_network_spec("a/b.th:resnet20").file, "a/b.th");
  EXPECT_EQ(split_network_spec("a/b.th:resnet20").network, "resnet20");
  EXPECT_EQ(split_network_spec("a/b.h5").network, "");
  const Scratch scratch;
  testing::write_file(scratch / "x:y", "");
  EXPECT_EQ(split_network_spec((scratch / "x:y").string()).network, "");
  error_of(ExitCode::usage, [] { load_feature_net("resnet20"); });
  error_of(ExitCode::input, [&] { load_feature_net((scratch / "absent.th").string() + ":resnet20"); });
}

TEST(FeatureNet, ImportedAndRawWeightsAreTheSame) {
  const auto source = shared_file("resnet20-cifar10.th");
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "no " << source;
  const Scratch scratch;
  WeightsImport import;
  import.source = source.string();
  import.target = (scratch / "w.h5").string();
  import.network = "resnet20";
  const auto done = import_weights(import);
  EXPECT_EQ(done.part, "classifier");
  EXPECT_EQ(done.tensors, 97);
  EXPECT_EQ(done.weights, 269'722);
  const auto raw = load_feature_net(source.string() + ":resnet20"), own = load_feature_net(import.target);
  EXPECT_EQ(raw.checksum, own.checksum);
  EXPECT_EQ(raw.checksum, done.checksum);
  EXPECT_EQ(own.network, "resnet20");
  error_of(ExitCode::input, [&] { load_feature_net(import.target + ":resnet32"); });
  error_of(ExitCode::usage, [&] { load_feature_net(source.string()); });
  // A wrong network leaves no file behind.
  import.network = "resnet32";
  import.target = (scratch / "v.h5").string();
  error_of(ExitCode::input, [&] { import_weights(import); });
  EXPECT_FALSE(std::filesystem::exists(import.target));
}

TEST(NetworkFacts, RoundTrip) {
  const EnergyConfig energy{"biggan64", 24, true, "zero"};
  const auto read = energy_config(facts_of(energy), "here");
  EXPECT_EQ(read.network, "biggan64");
  EXPECT_EQ(read.width, 24);
  EXPECT_TRUE(read.spectral_norm);
  EXPECT_EQ(read.attention_gamma, "zero");
  EXPECT_EQ(generator_config(facts_of(GeneratorConfig{"sngan64", 8, 100}), "here").latent, 100);
  EXPECT_EQ(classifier_config(facts_of(ClassifierConfig{.network = "resnet56", .classes = 100}), "here").classes, 100);
  error_of(ExitCode::input, [] { energy_config({{"width", "3"}}, "here"); });
  error_of(ExitCode::input, [] { energy_config({{"network", "light"}, {"width", "wide"}}, "here"); });
}

}  // namespace
}  // namespace langrun
