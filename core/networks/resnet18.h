// ResNet-18 for 32x32 images: He et al. 2016 with a 3x3 stem and no pooling before the first group, as it is commonly
// trained on CIFAR-10.
#pragma once

#include "core/networks/classifier.h"

namespace langrun {

/// Groups of two blocks at w, 2w, 4w and 8w channels (w: config.width; 64 is the common one, 11,173,962 weights).
/// Tensors are named as in the common PyTorch files: conv1, bn1, layer1.0.conv1, ..., layer2.0.shortcut.0, ..., linear.
/// Weights are left unset.
std::shared_ptr<Classifier> make_resnet18(const ClassifierConfig& config);

}  // namespace langrun
