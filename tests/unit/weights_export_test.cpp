// Weights to PyTorch: every network, loaded strictly into the modules that go with it, gives the same answers.
#include "jobs/weights_export.h"

#include <fmt/format.h>

#include "core/module_tensors.h"
#include "core/networks/autoencoder.h"
#include "core/networks/classifier.h"
#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/torch.h"
#include "data/pickle.h"
#include "data/pytorch_file.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/weights_import.h"
#include "launch/embedded.h"
#include "weights_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::Scratch;

TEST(PytorchFile, IsReadBackToTheBit) {
  const Scratch scratch;
  std::vector<NamedArray> arrays;
  arrays.emplace_back("a.weight", ArrayShape{2, 1, 3}, std::vector<float>{1, -2, 3e-30f, 4, 5, 6});
  arrays.emplace_back("scale", ArrayShape{}, std::vector<float>{0.5f});
  arrays.emplace_back("none", ArrayShape{0, 4}, std::vector<float>{});
  testing::write_file(scratch / "w.pth", pytorch_file(arrays));
  const auto read = read_pytorch(scratch / "w.pth");
  ASSERT_EQ(read.tensors.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.tensors[i].name, arrays[i].name);
    EXPECT_EQ(read.tensors[i].shape, arrays[i].shape);
    EXPECT_EQ(read.tensors[i].reals, arrays[i].values);
  }
  if (const auto why = testing::without_python(scratch, "torch"); !why.empty()) GTEST_SKIP() << why;
  EXPECT_TRUE(testing::python(scratch, R"(
import torch
w = torch.load('w.pth', weights_only=True)
assert list(w) == ['a.weight', 'scale', 'none'], list(w)
assert w['a.weight'].shape == (2, 1, 3) and w['a.weight'].flatten().tolist()[:2] == [1, -2], w
assert w['scale'].item() == 0.5 and w['none'].shape == (0, 4)
)")) << testing::read_file(scratch / "python.log");
}

TEST(WeightsExport, SaysWhatThereIs) {
  const Scratch scratch;
  std::vector<WeightsPart> parts;
  const auto energy = make_energy({.network = "light", .width = 4}, 1);
  for (const char* part : {"energy", "energy_average"})
    parts.push_back(copied_part(part, named_state(*energy), facts_of(EnergyConfig{.network = "light", .width = 4})));
  write_weights_file(scratch / "w.h5", parts);
  const WeightsFile file(scratch / "w.h5");
  EXPECT_NE(error_of(ExitCode::usage, [&] { only_part(file); }).find("energy, energy_average"), std::string::npos);
  EXPECT_NE(error_of(ExitCode::input, [&] { export_weights(file, "generator"); }).find("energy"), std::string::npos);
  error_of(ExitCode::usage, [&] { export_weights(file, "optimizer"); });
  EXPECT_EQ(export_weights(file, "energy").weights, weight_count(*energy));
}

TEST(WeightsImport, TakesAnEncoderBack) {
  const Scratch scratch;
  const EncoderConfig config{.width = 16};
  const auto encoder = make_encoder(config, 3);
  const auto arrays = arrays_of(named_state(*encoder));
  testing::write_file(scratch / "e.pth", pytorch_file(arrays));
  WeightsImport import;
  import.source = (scratch / "e.pth").string();
  import.target = (scratch / "e.h5").string();
  import.network = "encoder32";
  import.width = 16;
  EXPECT_EQ(import_weights(import).part, "encoder");
  const WeightsFile file(import.target);
  EXPECT_EQ(encoder_config(file.facts("encoder"), "e.h5").width, 16);
  EXPECT_EQ(export_weights(file, "encoder").file, pytorch_file(arrays));
  import.target = (scratch / "other.h5").string();
  import.width = 8;
  error_of(ExitCode::input, [&] { import_weights(import); });
}

TEST(NetworkFacts, KeepNamesOfClasses) {
  WeightFacts facts;
  EXPECT_TRUE(class_names(facts).empty());
  const std::vector<std::string> names{"grey wolf", "a,b", "cat"};
  add_class_names(facts, names);
  EXPECT_EQ(class_names(facts), names);
}

/// A network in a scratch folder: NAME.pth and .json as exported, NAME.io.pth with an input and langrun's answer.
class Gallery {
 public:
  explicit Gallery(const Scratch& scratch) : scratch_(scratch) {
    testing::write_file(scratch / "langrun_networks.py",
                        launch::embedded_file("launch/weights/langrun_networks.py"));
  }

  template <typename Config, typename Module, typename Answer>
  void add(const std::string& part, const Config& config, Module& module, const at::Tensor& input, Answer answer) {
    const torch::NoGradGuard constant;
    torch::manual_seed(4);
    for (auto& buffer : module.named_buffers())
      buffer.value().uniform_(buffer.key().ends_with("var") ? 0.5 : -0.2, buffer.key().ends_with("var") ? 1.5 : 0.2);
    const auto name = fmt::format("{}-{}", part, config.network);
    std::vector<WeightsPart> parts;
    parts.push_back(copied_part(part, named_state(module), facts_of(config)));
    write_weights_file(scratch_ / (name + ".h5"), parts);
    const auto exported = export_weights(WeightsFile(scratch_ / (name + ".h5")), part);
    testing::write_file(scratch_ / (name + ".pth"), exported.file);
    testing::write_file(scratch_ / (name + ".json"), exported.facts);
    testing::write_file(scratch_ / (name + ".io.pth"),
                        pytorch_file(arrays_of({{"input", input.contiguous()}, {"output", answer().contiguous()}})));
    names_ += fmt::format("'{}', ", name);
  }
  const std::string& names() const { return names_; }

 private:
  const Scratch& scratch_;
  std::string names_;
};

void add_energies(Gallery& gallery) {
  for (const auto& name : energy_names()) {
    EnergyConfig config;
    config.network = name;
    config.width = name.starts_with("biggan") ? 8 : 16;
    const auto energy = make_energy(config, 3);
    const auto shape = energy->input();
    const auto x = torch::rand({2, shape.channels, shape.height, shape.width}) * 2 - 1;
    gallery.add("energy", config, *energy, x, [&] { return energy->energy(x); });
  }
}

void add_generators(Gallery& gallery) {
  for (const auto& name : generator_names()) {
    const bool decoder = name == "decoder32";
    const GeneratorConfig config{.network = name, .width = 16, .latent = decoder ? 256 : 5, .factor = decoder ? 2.0 : 1.0};
    const auto generator = make_generator(config, 3);
    const auto z = torch::randn({3, config.latent});
    gallery.add("generator", config, *generator, z,
                [&] { return generator->generate(z, BatchNormUse::running); });
  }
}

void add_encoder(Gallery& gallery) {
  const EncoderConfig config{.width = 16};
  const auto encoder = make_encoder(config, 3);
  const auto x = torch::rand({2, 3, 32, 32}) * 2 - 1;
  gallery.add("encoder", config, *encoder, x, [&] { return encoder->encode(x); });
}

void add_classifiers(Gallery& gallery) {
  for (const auto& name : classifier_names()) {
    const ClassifierConfig config{.network = name, .classes = 7, .width = 8};
    const auto net = make_classifier(config, 3);
    const auto x = torch::rand({3, 3, 32, 32}) * 2 - 1;
    gallery.add("classifier", config, *net, x, [&] { return net->logits(x); });
  }
}

TEST(WeightsExport, EveryNetworkAnswersTheSameInPytorch) {
  const Scratch scratch;
  if (const auto why = testing::without_python(scratch, "torch"); !why.empty()) GTEST_SKIP() << why;
  Gallery gallery(scratch);
  add_energies(gallery);
  add_generators(gallery);
  add_encoder(gallery);
  add_classifiers(gallery);
  EXPECT_TRUE(testing::python(scratch, "names = [" + gallery.names() + "]" + R"(
import torch
import langrun_networks
torch.set_num_threads(1)
for name in names:
    network = langrun_networks.load(name + '.pth')
    io = torch.load(name + '.io.pth', weights_only=True)
    with torch.no_grad():
        answer = network(io['input'])
    assert answer.shape == io['output'].shape, (name, answer.shape)
    far = (answer - io['output']).abs().max().item() / (io['output'].abs().max().item() + 1e-6)
    assert far < 1e-4, (name, far)
)")) << testing::read_file(scratch / "python.log");
}

}  // namespace
}  // namespace langrun
