#include "core/networks/classifier.h"

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
  error_of(ExitCode::usage, [] { make_classifier({.network = "resnet21"}); });
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
