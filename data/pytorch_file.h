// PyTorch's file of a state dict, as torch.save writes one.
#pragma once

#include <string>
#include <vector>

#include "data/named_array.h"

namespace langrun {

/// The bytes of a zip file that torch.load(..., weights_only=True) reads as a dictionary of float32 tensors, by name, in
/// the order given.
std::string pytorch_file(const std::vector<NamedArray>& arrays);

}  // namespace langrun
