// The options of `langrun autoencoder`.
#pragma once

#include "jobs/autoencoder.h"
#include "launch/options.h"

namespace langrun::launch {

void bind_autoencoder(OptionTable& table, AutoencoderConfig& config);

}  // namespace langrun::launch
