// PyTorch's weight files, read without Python and without executing anything: the zip form (torch.save since 1.6) and
// the legacy form before it. What counts as weights is a dictionary of tensors; everything else in a file is skipped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/named_array.h"

namespace langrun {

/// One tensor of a PyTorch file. Floating types come as float32, whole numbers and truth values as int64.
struct PickledTensor {
  std::string name;  ///< key in its dictionary
  ArrayShape shape;
  std::string type;                    ///< as stored: "float32", "bfloat16", "int64", ...
  std::vector<float> reals;            ///< row-major; empty for whole numbers
  std::vector<std::int64_t> integers;  ///< row-major; empty for floating types
  bool floating() const { return type.starts_with("float") || type.starts_with("bfloat"); }
};

/// A dictionary of tensors found in a PyTorch file.
struct StateDict {
  std::string key;  ///< where it stood: "state_dict", "net.energy"; empty for the file's outermost value
  std::vector<PickledTensor> tensors;  ///< in the file's order
};

/// Reads one dictionary of tensors. `key` says which ("state_dict", outer and inner keys joined by dots); empty takes
/// the outermost value if it holds tensors, else its `state_dict`, else the only one there is (an optimiser's state,
/// whose keys are numbers, does not count). Where all names begin with `module.` or `_orig_mod.`, as wrappers put it
/// there, that is taken off.
/// Throws Error(input) for a missing, truncated or foreign file, for a pickle that asks for anything but weights
/// (naming it), and where the choice is not clear (listing the keys). Sizes are checked before memory is taken.
StateDict read_pytorch(const std::filesystem::path& path, const std::string& key = {});

/// True where the file begins as a PyTorch file of either form does.
bool looks_like_pytorch(const std::filesystem::path& path);

}  // namespace langrun
