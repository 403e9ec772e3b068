// The residual networks of 6n + 2 layers for 32x32 images of He et al. 2016 ("Deep Residual Learning for Image
// Recognition", section 4.2): n = 3, 5, 7, 9 are ResNet-20, 32, 44, 56.
#pragma once

#include "core/networks/classifier.h"

namespace langrun {

/// `blocks` is n, the residual blocks of each of the three groups of w, 2w and 4w channels (w: config.width, the
/// paper's is 16). Tensors are named as in the common PyTorch files: conv1, bn1, layer1.0.conv1, ..., linear. Weights
/// are left unset.
std::shared_ptr<Classifier> make_resnet_cifar(const ClassifierConfig& config, std::int64_t blocks);

}  // namespace langrun
