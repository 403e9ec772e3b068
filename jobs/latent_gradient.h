// Whether chains can move the latents of a generator.
#pragma once

#include <cstdint>

#include "jobs/frozen_generator.h"

namespace langrun {

/// Calls it once, on `batch` latents, and goes back through it. Throws Error(input) where it gives no gradient in its
/// latents, or one that is zero everywhere or not finite.
void check_latent_gradient(FrozenGenerator& generator, std::int64_t batch);

}  // namespace langrun
