// The residual networks of 6n + 2 layers for 32x32 images of He et al. 2016 ("Deep Residual Learning for Image
// Recognition", section 4.2): n = 3, 5, 7, 9 are ResNet-20, 32, 44, 56.
#pragma once

#include "core/networks/classifier.h"

namespace langrun {

/// `blocks` is n, the residual blocks of each of the three groups (16, 32 and 64 channels). Tensors are named as in
/// the common PyTorch files: conv1, bn1, layer1.0.conv1, ..., linear.
std::shared_ptr<Classifier> make_resnet_cifar(std::int64_t blocks, std::int64_t classes);

}  // namespace langrun
