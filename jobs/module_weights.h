// Between a network and named arrays, as files of weights and checkpoints hold them: every name and shape is checked.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "data/named_array.h"
#include "data/weights_file.h"

namespace langrun {

/// Weights and buffers of a network by name. Those that lie contiguous in host memory as float32 are borrowed: the
/// module must outlive the result and must not change before it is written.
std::vector<NamedArray> module_arrays(const torch::nn::Module& module);

/// Copies `arrays` into the network's weights and buffers. Throws Error(input), naming every tensor that is missing,
/// unexpected or of another shape, before anything is copied; `where` names the source.
void load_module(torch::nn::Module& module, const std::vector<NamedArray>& arrays, const std::string& where);

/// The same from one part of a file of weights, tensor by tensor, without a copy of the whole.
void load_module(torch::nn::Module& module, const WeightsFile& file, const std::string& part);

}  // namespace langrun
