// Feature nets: built-in classifiers with weights from a file, as `--features` and `--classifier` name them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/networks/classifier.h"

namespace langrun {

/// A classifier with its weights, and what a record says about it.
struct FeatureNet {
  std::shared_ptr<Classifier> classifier;
  std::string network;   ///< "resnet20"
  std::string source;    ///< file of the weights
  std::string checksum;  ///< of its tensors by name, independent of the kind of file
  std::vector<std::string> classes;  ///< names; none where the file does not say them
};

/// From FILE[:network]: an HDF5 file of weights with a part `classifier` (its attribute says the network), or a PyTorch
/// file, where the network has to be named. Throws Error(input) where the weights do not fit, Error(usage) where the
/// network is not named or unknown.
FeatureNet load_feature_net(const std::string& spec);

/// FILE and network of a FILE[:network]; a file whose own name has the colon wins.
struct NetworkSpec {
  std::string file, network;
};
NetworkSpec split_network_spec(const std::string& spec);

}  // namespace langrun
