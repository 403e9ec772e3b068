// Weights as PyTorch reads them.
#pragma once

#include <cstdint>
#include <string>

#include "data/weights_file.h"

namespace langrun {

/// One part of a file of weights as a PyTorch state dict.
struct ExportedWeights {
  std::string file;   ///< the bytes of a file that torch.load reads, weights_only: a dictionary of float32 tensors
  std::string facts;  ///< what the module is built from, one JSON object: "part", "network", "width", ...
  std::int64_t tensors = 0, weights = 0;
};

/// The part that is meant where none is named. Throws Error(usage), listing them, where there are several.
std::string only_part(const WeightsFile& file);

/// `part`: energy, energy_average, generator, generator_average, classifier or classifier_average. Names and shapes are
/// checked against the network that the file says they are of. Throws Error(input) where the file lacks the part or a
/// tensor of it, Error(usage) for a part that no module stands for.
ExportedWeights export_weights(const WeightsFile& file, const std::string& part);

}  // namespace langrun
