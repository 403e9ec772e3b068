// WRN-28-10 of Zagoruyko and Komodakis 2016 ("Wide Residual Networks") for 32x32 images, as the papers on purification
// train it: convolutions with bias, no dropout.
#pragma once

#include "core/networks/classifier.h"

namespace langrun {

/// A stem of 16 channels and groups of four pre-activation blocks at w, 2w and 4w channels (w: config.width; 160 is
/// WRN-28-10, 16 k is WRN-28-k). Tensors are named as in the common PyTorch files: conv1, layer1.0.bn1, .conv1, .bn2,
/// .conv2, .shortcut.0, ..., bn1, linear. Weights are left unset.
std::shared_ptr<Classifier> make_wide_resnet(const ClassifierConfig& config);

}  // namespace langrun
