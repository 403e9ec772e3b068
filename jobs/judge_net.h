// The classifier of an evaluation: built-in with weights from a file or a run, or any TorchScript module.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/images.h"

namespace langrun {

/// Which classifier, as `--classifier` names it.
struct JudgeNetConfig {
  std::string file;             ///< FILE[:network] of weights, or a TorchScript file
  std::int64_t size = 0;        ///< of TorchScript: side that images are resized to; 0: as they are
  std::string range = "none";   ///< of TorchScript: values it takes, -1:1, 0:1, 0:255, imagenet or normalised
  std::string mean, deviation;  ///< of range normalised: "r,g,b" on [0, 1]
  std::string precision = "fp32";  ///< fp32 or bf16 (autocast)
};

/// What a record says about it.
struct JudgeFacts {
  std::string network;   ///< "resnet20", "torchscript"
  std::string source;    ///< the file
  std::string checksum;  ///< of its weights, or of the file
  std::int64_t classes = 0;
  /// Whether image b's logits were seen to depend on image b alone when a call was permuted and its neighbours changed.
  /// Where not, calls hold one image.
  bool place_free = true;
  std::vector<std::string> class_names = {};  ///< by label; none where the file does not say them
};

/// A frozen classifier. Calls have one shape, so that an image's bits do not depend on its place or neighbours.
class JudgeNet {
 public:
  virtual ~JudgeNet() = default;
  /// x [B, C, H, W] float32 in [-1, 1] (not clamped), B = call(), to logits [B, classes] float32; differentiable in x
  /// in grad mode.
  virtual at::Tensor logits(const at::Tensor& x) = 0;
  virtual const JudgeFacts& facts() const = 0;
  /// Images a call.
  virtual std::int64_t call() const = 0;
};

/// Opens it and probes it with images of this size, in calls of `call`. Throws Error(usage) where settings are missing
/// or do not go with the kind of file; Error(input) where it cannot be read, does not take the images, returns no
/// logits for each, or gives no gradient in the images and one is wanted.
std::unique_ptr<JudgeNet> open_judge_net(const JudgeNetConfig& config, const ImageShape& images, std::int64_t call,
                                         bool wants_gradient, const at::Device& device);

}  // namespace langrun
