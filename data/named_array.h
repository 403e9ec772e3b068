// Tensors as the files know them: a name, a shape, floats. What jobs exchange with data/, which has no LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace langrun {

/// A tensor that somebody else holds, to be written without a copy. float32, contiguous.
struct ArrayView {
  std::string name;
  std::vector<std::int64_t> shape;
  const float* values = nullptr;
};

}  // namespace langrun
