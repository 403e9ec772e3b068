// Between a network and named arrays, as files of weights and checkpoints hold them: every name and shape is checked.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/module_tensors.h"
#include "data/named_array.h"
#include "data/weights_file.h"

namespace langrun {

/// Shapes by name, as a file or a list of arrays gives them.
using NamedShapes = std::map<std::string, ArrayShape>;

/// Throws Error(input), naming every tensor that is missing, unexpected or of another shape, where `given` differs from
/// `tensors`; `where` names the source.
void check_tensors(const NamedTensors& tensors, const NamedShapes& given, const std::string& where);

/// Tensors as arrays. Those that lie contiguous in host memory as float32 are borrowed: they must outlive the result
/// and must not change before it is written.
std::vector<NamedArray> arrays_of(const NamedTensors& tensors);

/// Copies `arrays` into `tensors` (named_state of a network), after check_tensors.
void load_arrays(const NamedTensors& tensors, const std::vector<NamedArray>& arrays, const std::string& where);

/// One part of a file of weights, a copy of `tensors` as they are now.
WeightsPart copied_part(const std::string& part, const NamedTensors& tensors, const WeightFacts& facts);

/// Fills `tensors` from a part of a file of weights, after check_tensors. Throws Error(input).
void read_part(const WeightsFile& file, const std::string& part, const NamedTensors& tensors);

}  // namespace langrun
