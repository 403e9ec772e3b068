// Options of `langrun hat`.
#pragma once

#include <string>
#include <vector>

#include "jobs/hat_config.h"
#include "launch/options.h"

namespace langrun::launch {

/// mode, pairs, residual, latent and source: what is said of a hat beside its energy and its generator.
void bind_hat_chains(OptionTable& table, HatConfig& config);
/// Everything.
void bind_hat(OptionTable& table, HatConfig& config);

/// Throws Error(usage) where an option on the command line is one that the mode does not use, or where ddls lacks its
/// temperature. Of files and presets nothing is refused: they are whole configurations, with settings for other modes.
/// `arguments`: the words of the command line, which `table`, bound to `config`, has parsed.
void check_hat_options(const std::vector<std::string>& arguments, const OptionTable& table, const HatConfig& config);

}  // namespace langrun::launch
