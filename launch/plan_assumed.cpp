#include "launch/plan_assumed.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "jobs/fact.h"
#include "launch/autoencoder_options.h"
#include "launch/presets.h"
#include "launch/shortrun_options.h"

namespace langrun::launch {
namespace {

/// A set that presets are of, by how their names begin.
struct KnownSet {
  const char* preset;
  std::int64_t images;
  const char* name;
};
constexpr KnownSet kSets[] = {{"cifar10", 50000, "training images, as many as CIFAR-10 and CIFAR-100 have"},
                              {"svhn", 73257, "training images, as many as SVHN has"},
                              {"ring", 10000, "points, as many as docs/plane.md takes"},
                              {"spirals", 10000, "points, as many as docs/plane.md takes"}};

/// For a bank with a slot for each image.
std::vector<std::string> assume_images(const OptionTable& table, std::int64_t slots, PlanPlace& place) {
  if (slots > 0 || place.images > 0) return {};
  for (const auto& set : kSets) {
    if (!table.preset().starts_with(set.preset)) continue;
    place.images = set.images;
    return {fmt::format("{} {}, and a chain for each; --images N or --data says better", with_thousands(set.images),
                        set.name)};
  }
  return {};
}

/// The training whose generator a hat takes, by the hat's preset: as that one's first line and docs/hat.md have it.
struct Teacher {
  std::string_view hat, job, preset;
};
constexpr Teacher kAutoencoder{"", "autoencoder", "cifar10"};
constexpr Teacher kTeachers[] = {{"celeba64-refine", "shortrun", "celeba64"},
                                 {"celeba64-refine-released", "shortrun", "celeba64"},
                                 {"cifar10-ddls-small", "shortrun", "cifar10-small"},
                                 {"cifar10-refine", "shortrun", "cifar10"},
                                 {"cifar10-refine-released", "shortrun", "cifar10"},
                                 {"cifar10-refine-small", "shortrun", "cifar10-small"},
                                 {"cifar10-retrofit", "autoencoder", "cifar10"},
                                 {"cifar10-retrofit-released", "autoencoder", "cifar10"},
                                 {"cifar10-retrofit-small", "autoencoder", "cifar10-small"}};

/// Whose generator the settings mean; nothing where they do not say. A retrofit is of an autoencoder, and nothing else
/// is, whatever mode the preset has.
std::optional<Teacher> teacher_of(const OptionTable& table, const HatConfig& config) {
  const bool retrofit = hat_mode(config.mode) == HatMode::retrofit;
  for (const auto& teacher : kTeachers)
    if (table.preset() == teacher.hat && (teacher.job == kAutoencoder.job) == retrofit) return teacher;
  if (retrofit) return kAutoencoder;
  return {};
}

template <typename Config>
Config of_preset(const Teacher& teacher, void (*bind)(OptionTable&, Config&)) {
  Config config;
  const std::string job(teacher.job);
  OptionTable table(job);
  bind(table, config);
  table.presets(presets_of(job));
  table.parse({"--preset", std::string(teacher.preset)});
  return config;
}

GeneratorConfig generator_of(const Teacher& teacher) {
  if (teacher.job == kAutoencoder.job) return of_preset<AutoencoderConfig>(teacher, bind_autoencoder).decoder;
  return of_preset<ShortrunConfig>(teacher, bind_shortrun).generator;
}

std::string width_text(std::int64_t width) {
  return width > 0 ? fmt::format("width {}", width) : std::string("the paper's width");
}

}  // namespace

std::vector<std::string> assume(const OptionTable& table, ConvergentConfig& config, PlanPlace& place) {
  return assume_images(table, config.bank_size, place);
}

std::vector<std::string> assume(const OptionTable& table, HatConfig& config, PlanPlace&) {
  if (hat_mode(config.mode) == HatMode::synthesis || !config.source.generator.empty()) return {};
  auto& generator = config.generator;
  const auto teacher = teacher_of(table, config);
  std::string as = "as the options of the generator have it";
  if (teacher && !table.given("generator.network")) {
    const auto described = generator;
    generator = generator_of(*teacher);
    if (table.given("generator.width")) generator.width = described.width;
    if (table.given("generator.latent")) generator.latent = described.latent;
    as = fmt::format("as {} --preset {} trains one", teacher->job, teacher->preset);
  }
  return {fmt::format("source.generator is not named: planned with an untrained {} of {}, {}; naming one says better",
                      generator.network, width_text(generator.width), as)};
}

}  // namespace langrun::launch
