// Options of `langrun hat`.
#pragma once

#include "jobs/hat_config.h"
#include "launch/options.h"

namespace langrun::launch {

/// mode, pairs, residual, latent and source: what is said of a hat beside its energy and its generator.
void bind_hat_chains(OptionTable& table, HatConfig& config);
/// Everything.
void bind_hat(OptionTable& table, HatConfig& config);

}  // namespace langrun::launch
