// Features of 8-bit images: by a built-in classifier's penultimate layer, or by any TorchScript net.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/images.h"
#include "data/statistics_file.h"

namespace langrun {

/// Which net, as `--features` names it.
struct FeatureNetConfig {
  std::string file;            ///< FILE[:network] of weights (load_feature_net), or a TorchScript file
  std::int64_t size = 0;       ///< of TorchScript: side that images are resized to; 0: as they are
  std::string range = "none";  ///< of TorchScript: values it takes, -1:1, 0:1, 0:255 or imagenet; none: not stated
};

/// Images to features; sample b of a result is a function of image b and the call's shape.
class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;
  /// images [B, 3, H, W] uint8, of the size it was opened for, to [B, length] float32, contiguous, on the CPU. Throws
  /// Error(input) where the net does not take them or returns no vector for each.
  virtual at::Tensor features(const at::Tensor& images) = 0;
  virtual const NetUsed& facts() const = 0;
};

/// What of a net can be checked without images of the size it will get. Throws as open_feature_extractor.
void check_feature_net(const FeatureNetConfig& config);

/// Opens the net and calls it once, on `batch` grey images of size `images`. Throws Error(usage) where settings are
/// missing or do not go with the kind of file, Error(input) where the net cannot be read, does not take the images,
/// or returns no vector for each.
std::unique_ptr<FeatureExtractor> open_feature_extractor(const FeatureNetConfig& config, const ImageShape& images,
                                                         std::int64_t batch);

}  // namespace langrun
