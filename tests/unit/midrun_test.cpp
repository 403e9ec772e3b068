// Midrun: how often chains begin anew, generators of others, presets against the papers' table.
#include "jobs/midrun.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/error.h"
#include "core/torch.h"
#include "distributed/communicator.h"
#include "jobs/frozen_generator.h"
#include "jobs/latent_gradient.h"
#include "launch/midrun_options.h"
#include "launch/presets.h"
#include "tests/unit/weights_support.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

TEST(Midrun, RejuvenationFollowsFromTheDefense) {
  MidrunConfig config;
  config.langevin.steps = 100;
  EXPECT_EQ(rejuvenation_probability(config), 0);
  config.rejuvenation = 0.05;
  EXPECT_EQ(rejuvenation_probability(config), 0.05);
  config.defense_steps = 4000;
  EXPECT_THROW(rejuvenation_probability(config), Error);
  config.rejuvenation = 0;
  EXPECT_EQ(rejuvenation_probability(config), 0.025);
  config.defense_steps = 100;
  EXPECT_EQ(rejuvenation_probability(config), 1);
  config.defense_steps = 99;
  EXPECT_THROW(rejuvenation_probability(config), Error);
}

MidrunConfig preset(const std::string& name) {
  MidrunConfig config;
  launch::OptionTable table("midrun");
  launch::bind_midrun(table, config);
  table.presets(launch::presets_of("midrun"));
  table.parse({"--preset", name});
  return config;
}

struct Published {
  std::string name, network;
  std::int64_t batch, bank;
  double noise, eta, temperature, p;
};

TEST(Midrun, PresetsCarryThePublishedSettings) {
  for (const Published& row : {Published{"cifar10", "sngan32", 128, 20000, 2e-2, 1e-2, 1e-4, 0.025},
                               {"cifar10-released", "sngan32", 128, 25000, 2.5e-2, 1.25e-2, 1e-4, 0.05},
                               {"imagenet224", "biggan224", 64, 10000, 3e-2, 2e-2, 1e-5, 0.05}}) {
    SCOPED_TRACE(row.name);
    const auto c = preset(row.name);
    EXPECT_EQ(c.training.steps, 150000);
    EXPECT_EQ(c.training.batch, row.batch);
    EXPECT_EQ(c.energy.network, row.network);
    EXPECT_EQ(c.energy_learning.learning_rate, 1e-4);
    EXPECT_EQ(c.energy_learning.drops, "50000:1e-5,75000:1e-6,100000:1e-7,125000:1e-8");
    EXPECT_EQ(c.energy_learning.average, 0);
    EXPECT_EQ(c.data_noise, row.noise);
    EXPECT_EQ(c.langevin.steps, 100);
    EXPECT_EQ(c.langevin.eta, row.eta);
    EXPECT_EQ(c.langevin.temperature, row.temperature);
    EXPECT_EQ(c.bank_size, row.bank);
    EXPECT_EQ(rejuvenation_probability(c), row.p);
  }
}

TEST(Midrun, AConfigurationIsOfItsJob) {
  MidrunConfig config;
  launch::OptionTable table("midrun");
  launch::bind_midrun(table, config);
  EXPECT_THROW(table.read_config("job = shortrun\n", "a file"), Error);
  EXPECT_EQ(launch::configured("steps = 3\n[bank]\nsize = 9\n", "bank.size", "a file"), "9");
  EXPECT_EQ(launch::configured("steps = 3\n", "job", "a file"), std::nullopt);
}

/// Modules that Python scripts, where there is one with torch.
class ScriptedGenerators : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* python = std::getenv("LANGRUN_PYTHON");
    if (python == nullptr) return;
    std::string name = (fs::temp_directory_path() / "langrun-midrun.XXXXXX").string();
    folder_ = mkdtemp(name.data());
    const auto command = std::string(python) + " -W ignore -c \"" + R"(
import torch
class G(torch.nn.Module):
    def __init__(s, size, kind):
        super().__init__()
        s.kind, s.size, s.l = kind, size, torch.nn.Linear(6, 3 * size * size)
    def forward(s, z):
        if s.kind == 'coupled':
            z = z - z.mean(0)
        x = torch.tanh(s.l(z.sign() if s.kind == 'steps' else z)).view(-1, 3, s.size, s.size)
        if s.kind == 'detached':
            x = x.detach()
        return (x + 1) / 2 if s.kind == 'half' else x
torch.manual_seed(0)
for kind, size in (('full', 32), ('half', 32), ('coupled', 32), ('detached', 32), ('steps', 32), ('small', 16)):
    torch.jit.trace(G(size, kind), torch.randn(2, 6)).save(')" +
                         folder_ + R"(/%s.pt' % kind)
)" + "\" >/dev/null 2>&1";
    made_ = std::system(command.c_str()) == 0;
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }
  void SetUp() override {
    if (!made_) GTEST_SKIP() << "no Python with torch (LANGRUN_PYTHON) to make TorchScript with";
  }

  static at::Tensor first_images(const SourceConfig& config, bool differentiated = false) {
    const auto world = make_solo_communicator();
    FrozenSource source(config, false, *world);
    source.open({3, 32, 32}, 4, at::kCPU);
    if (differentiated) check_latent_gradient(source.generator(), 4);
    return source.fresh({7, 8, 9, 10}, 3, noise_key(1, Stream::rejuvenation)).images;
  }
  static SourceConfig of(const std::string& name, std::int64_t latent, const std::string& range) {
    return {folder_ + "/" + name + ".pt", "best", latent, range};
  }

  static inline std::string folder_;
  static inline bool made_ = false;
};

TEST_F(ScriptedGenerators, MakeImagesInOurRange) {
  const auto images = first_images(of("half", 6, "0:1"));
  EXPECT_EQ(images.sizes().vec(), (std::vector<std::int64_t>{4, 3, 32, 32}));
  EXPECT_LT(images.min().item<float>(), -0.5);
  EXPECT_GT(images.max().item<float>(), 0.5);
  EXPECT_LE(images.abs().max().item<float>(), 1.0f);
  EXPECT_TRUE(at::equal(images, first_images(of("half", 6, "0:1"))));
}

TEST_F(ScriptedGenerators, AreRefusedWhereTheyDoNotFit) {
  EXPECT_NO_THROW(first_images(of("full", 6, "-1:1")));
  const auto refused = [](ExitCode code, const SourceConfig& config, const std::string& word) {
    const auto message = testing::error_of(code, [&] { first_images(config); });
    EXPECT_NE(message.find(word), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  };
  refused(ExitCode::usage, of("full", 0, "-1:1"), "latent length of");
  refused(ExitCode::input, of("full", 7, "-1:1"), "does not take latents [4, 7]");
  refused(ExitCode::input, of("full", 6, "0:1"), "makes values from");
  refused(ExitCode::input, of("half", 6, "-1:1"), "they look like 0:1");
  refused(ExitCode::input, of("small", 6, "-1:1"), "makes images [4, 3, 16, 16]");
  refused(ExitCode::input, of("none", 6, "-1:1"), "none.pt does not exist");
  refused(ExitCode::input, of("coupled", 6, "-1:1"), "couples the images of a call");
}

TEST_F(ScriptedGenerators, GiveAGradientWhereLatentsMove) {
  EXPECT_NO_THROW(first_images(of("full", 6, "-1:1"), true));
  EXPECT_NO_THROW(first_images(of("half", 6, "0:1"), true));
  for (const std::string name : {"detached", "steps"}) {
    EXPECT_NO_THROW(first_images(of(name, 6, "-1:1")));
    const auto message = testing::error_of(ExitCode::input, [&] { first_images(of(name, 6, "-1:1"), true); });
    EXPECT_NE(message.find("gives"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace langrun
