// Built-in presets.
#pragma once

#include <string>
#include <vector>

#include "launch/options.h"

namespace langrun::launch {

/// The presets of a command, from jobs/presets/<command>/*.cfg, by name.
std::vector<Preset> presets_of(const std::string& command);

}  // namespace langrun::launch
