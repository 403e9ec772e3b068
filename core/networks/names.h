// Names of the built-in networks, for options and messages.
#pragma once

#include <string>
#include <vector>

namespace langrun {

/// Names that make_energy knows.
std::vector<std::string> energy_names();
/// Names that make_generator knows.
std::vector<std::string> generator_names();
/// Names that make_classifier knows.
std::vector<std::string> classifier_names();

}  // namespace langrun
