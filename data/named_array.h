// A named block of float32 numbers: one tensor of a weights file or a checkpoint, without LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace langrun {

/// Extents, outermost first; a scalar has none.
using ArrayShape = std::vector<std::int64_t>;
/// Number of elements of a shape (1 for a scalar).
std::int64_t elements(const ArrayShape& shape);
/// "[16, 3, 3, 3]", for messages.
std::string to_text(const ArrayShape& shape);

/// One tensor. It either owns its values, or shows values that somebody else keeps alive and unchanged: large tensors
/// are written from where they lie.
struct NamedArray {
  std::string name;
  ArrayShape shape;
  std::vector<float> values;        ///< row-major; empty where `borrowed` is used
  std::span<const float> borrowed;  ///< row-major; used where not empty

  std::span<const float> data() const { return borrowed.empty() ? std::span<const float>(values) : borrowed; }

  NamedArray() = default;
  NamedArray(std::string name_, ArrayShape shape_, std::vector<float> values_)
      : name(std::move(name_)), shape(std::move(shape_)), values(std::move(values_)) {}
  NamedArray(std::string name_, ArrayShape shape_, std::span<const float> view)
      : name(std::move(name_)), shape(std::move(shape_)), borrowed(view) {}
  // Copying is left out: weights are large, and a copy by accident is silent.
  NamedArray(NamedArray&&) = default;
  NamedArray& operator=(NamedArray&&) = default;
  NamedArray(const NamedArray&) = delete;
  NamedArray& operator=(const NamedArray&) = delete;
};

/// xxh128 of names, shapes and values in the order given, 32 hexadecimal digits: which weights a figure came from.
std::string weights_checksum(const std::vector<NamedArray>& arrays);

}  // namespace langrun
