// `weights import`: a PyTorch file becomes a file of weights, once every tensor fits the network that is named.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/named_array.h"
#include "data/pickle.h"

namespace langrun {

struct WeightsImport {
  std::string source;  ///< PyTorch file
  std::string target;  ///< HDF5 file to make
  std::string part;    ///< energy, generator, classifier or encoder; empty: whichever knows the network
  std::string network;
  std::string key;            ///< which dictionary of the source; empty: read_pytorch's choice
  std::int64_t width = 0;     ///< 0: the paper's
  std::int64_t latent = 128;  ///< generators
  double factor = 1;          ///< generators: of their tanh
  std::string normalisation = "auto";  ///< classifiers: see ClassifierConfig
};

struct ImportedWeights {
  std::string part;
  std::int64_t tensors = 0;
  std::int64_t weights = 0;  ///< trainable numbers
  std::string checksum;      ///< weights_checksum of what the network holds
};

/// Throws Error(input) where tensors are missing, unexpected or of another shape, naming them; Error(usage) for an
/// unknown network or where the target exists. Nothing is left behind then.
ImportedWeights import_weights(const WeightsImport& import);

/// The tensors of a state dictionary as a network takes them: `num_batches_tracked`, which no network here needs, is
/// left out. Throws Error(input) for other whole-number tensors; `where` names the source.
std::vector<NamedArray> weight_arrays(StateDict state, const std::string& where);

/// Length of the last layer's bias in a classifier's weights (`linear.bias`), or 10 where there is none.
std::int64_t classes_of(const std::vector<NamedArray>& arrays);

}  // namespace langrun
