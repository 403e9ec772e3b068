// What `plan` takes for granted of presets whose data or generator is not there yet.
#include "launch/plan_assumed.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "launch/convergent_options.h"
#include "launch/hat_options.h"
#include "launch/presets.h"

namespace langrun::launch {
namespace {

using Words = std::vector<std::string>;

/// A job's settings as read from words, and what is assumed of them.
template <typename Config>
struct Assumed {
  Assumed(const std::string& job, void (*bind)(OptionTable&, Config&), const Words& words, std::int64_t images = 0) {
    place.images = images;
    OptionTable table(job);
    bind(table, config);
    table.presets(presets_of(job));
    table.parse(words);
    sentences = assume(table, config, place);
  }

  Config config;
  PlanPlace place;
  Words sentences;
};

Assumed<ConvergentConfig> convergent(const Words& words, std::int64_t images = 0) {
  return {"convergent", bind_convergent, words, images};
}
Assumed<HatConfig> hat(const Words& words) { return {"hat", bind_hat, words}; }

TEST(PlanAssumed, EveryPresetWithAChainForEachImageHasACount) {
  for (const auto& preset : presets_of("convergent")) {
    SCOPED_TRACE(preset.name);
    const auto assumed = convergent({"--preset", preset.name});
    EXPECT_GT(std::max(assumed.config.bank_size, assumed.place.images), 0);
    EXPECT_EQ(assumed.sentences.empty(), assumed.config.bank_size > 0);
  }
  EXPECT_EQ(convergent({"--preset", "cifar10-adam"}).place.images, 50000);
  EXPECT_EQ(convergent({"--preset", "svhn"}).place.images, 73257);
  EXPECT_EQ(convergent({"--preset", "spirals"}).place.images, 10000);
}

TEST(PlanAssumed, ACountThatIsSaidOrNotNeededStays) {
  const auto said = convergent({"--preset", "cifar10"}, 1000);
  EXPECT_EQ(said.place.images, 1000);
  EXPECT_TRUE(said.sentences.empty());
  const auto slots = convergent({"--preset", "cifar10", "--bank.size", "512"});
  EXPECT_EQ(slots.place.images, 0);
  EXPECT_TRUE(slots.sentences.empty());
  // Of a set that nobody named nothing is known.
  const auto none = convergent({});
  EXPECT_EQ(none.place.images, 0);
  EXPECT_TRUE(none.sentences.empty());
}

TEST(PlanAssumed, EveryHatPresetHasAGeneratorOfItsEnergysSize) {
  for (const auto& preset : presets_of("hat")) {
    SCOPED_TRACE(preset.name);
    const auto [config, place, sentences] = hat({"--preset", preset.name});
    EXPECT_EQ(sentences.empty(), config.mode == "synthesis");
    const auto of_size = config.energy.network == "light" ? "sngan32" : config.energy.network;
    EXPECT_EQ(config.generator.network, config.mode == "retrofit" ? "decoder32" : of_size);
    EXPECT_EQ(config.generator.latent, config.mode == "retrofit" ? 256 : 128);
  }
  EXPECT_EQ(hat({"--preset", "cifar10-refine-small"}).config.generator.width, 32);
  EXPECT_EQ(hat({"--preset", "cifar10-retrofit"}).config.generator.width, 0);
}

TEST(PlanAssumed, AGeneratorThatIsNamedOrDescribedStays) {
  EXPECT_TRUE(hat({"--preset", "cifar10-refine", "--source.generator", "runs/none"}).sentences.empty());
  const auto wide = hat({"--preset", "cifar10-retrofit", "--generator.width", "64"});
  EXPECT_EQ(wide.config.generator.network, "decoder32");
  EXPECT_EQ(wide.config.generator.width, 64);
  const auto described = hat({"--preset", "celeba64-refine", "--generator.network", "sngan128"});
  EXPECT_EQ(described.config.generator.network, "sngan128");
  ASSERT_EQ(described.sentences.size(), 1U);
  EXPECT_NE(described.sentences.front().find("sngan128"), std::string::npos);
  // Without a preset, too, a retrofit is of a decoder.
  EXPECT_EQ(hat({"--mode", "retrofit"}).config.generator.network, "decoder32");
  EXPECT_EQ(hat({"--mode", "conditional"}).config.generator.network, "sngan32");
}

}  // namespace
}  // namespace langrun::launch
