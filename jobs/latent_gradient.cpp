#include "jobs/latent_gradient.h"

#include <fmt/format.h>

#include <limits>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/noise.h"
#include "core/torch.h"
#include "jobs/chain_starts.h"
#include "jobs/script_error.h"

namespace langrun {
namespace {

// Of some weighted sum of the images: of a plain sum it may vanish.
at::Tensor slope_of(const at::Tensor& images, const at::Tensor& latents) {
  auto weights = torch::empty(images.sizes());
  fill_uniform(noise_key(0, Stream::weights), {},
               {weights.mutable_data_ptr<float>(), static_cast<std::size_t>(weights.numel())});
  return torch::autograd::grad({images}, {latents}, {weights.to(images.device())}, std::nullopt,
                               /*create_graph=*/false, /*allow_unused=*/true)[0];
}

}  // namespace

void check_latent_gradient(FrozenGenerator& generator, std::int64_t batch) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ExitCode::input, fmt::format("generator {} gives {}", generator.description(), what),
                "chains that move latents need its derivative; --mode conditional does not");
  };
  const at::AutoGradMode differentiated(true);
  std::vector<std::uint64_t> places(static_cast<std::size_t>(batch));
  std::iota(places.begin(), places.end(), 0);
  const auto latents = fresh_latents(places, 0, noise_key(1, Stream::sample), generator.latent_length());
  const auto input = latents.clone().requires_grad_(true);
  const auto images = generator.make(input);
  if (!images.requires_grad()) refuse("no gradient");
  at::Tensor slope;
  try {
    slope = slope_of(images, input);
  } catch (const std::exception& error) {
    refuse(fmt::format("no gradient: {}", raised_reason(error)));
  }
  if (!slope.defined()) refuse("no gradient in its latents");
  const auto largest = slope.abs().max().item<float>();
  if (!(largest < std::numeric_limits<float>::infinity())) refuse("a gradient that is not finite");
  if (largest == 0) refuse("a gradient that is zero");
}

}  // namespace langrun
