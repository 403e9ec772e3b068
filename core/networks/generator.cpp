#include "core/networks/generator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/nearest.h"
#include "core/networks/autoencoder.h"
#include "core/networks/initialise.h"
#include "core/networks/sngan_generator.h"
#include "core/torch.h"

namespace langrun {
namespace {

void check(const GeneratorConfig& config) {
  const auto names = generator_names();
  if (std::find(names.begin(), names.end(), config.network) == names.end()) {
    const auto close = nearest(config.network, names);
    throw Error(ExitCode::usage,
                fmt::format("unknown generator '{}': expected {}", config.network, fmt::join(names, ", ")),
                close.empty() ? "" : fmt::format("did you mean {}?", close));
  }
  if (config.width < 0)
    throw Error(ExitCode::usage,
                fmt::format("generator of width {}: expected at least 1, or 0 for the paper's", config.width));
  if ((config.network == "sngan64" || config.network == "sngan128") && config.width % 16 != 0)
    throw Error(ExitCode::usage, fmt::format("{} at width {}: expected a multiple of 16", config.network, config.width),
                "its last block has a sixteenth of the width");
  if (config.latent < 1)
    throw Error(ExitCode::usage, fmt::format("latent of length {}: expected at least 1", config.latent));
  if (config.network == "decoder32" && config.latent != kLatentMap)
    throw Error(ExitCode::usage, fmt::format("decoder32 takes latents of {} numbers, a 16x16 map; {} are asked for",
                                             kLatentMap, config.latent),
                fmt::format("give a latent of {}", kLatentMap));
  if (!(config.factor > 0))
    throw Error(ExitCode::usage, fmt::format("generator factor {}: expected more than 0", config.factor));
}

}  // namespace

void check_latents(const at::Tensor& z, std::int64_t length) {
  if (z.dim() != 2 || z.size(1) != length)
    throw Error(ExitCode::input,
                fmt::format("latents of shape [{}], the generator takes [B, {}]", fmt::join(z.sizes(), ", "), length));
}

std::vector<std::string> generator_names() { return {"sngan32", "sngan64", "sngan128", "decoder32"}; }

std::shared_ptr<Generator> make_generator(const GeneratorConfig& config, std::uint64_t seed) {
  check(config);
  std::shared_ptr<Generator> generator;
  if (config.network == "decoder32")
    generator = std::make_shared<Decoder>(config);
  else
    generator = std::make_shared<SnganGenerator>(config, sngan_widths(config.network, config.width));
  initialise(*generator, WeightLaw::glorot, seed, "generator");
  return generator;
}

}  // namespace langrun
