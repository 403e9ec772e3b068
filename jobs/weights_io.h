// Networks and optimiser states in and out of weights files: tensors on this side, named arrays on the other.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/module_tensors.h"
#include "data/weights_file.h"

namespace langrun {

/// Writes parts (`energy`, `energy_average`, `optimizer`, ...) into one new weights file.
class WeightsWriter {
 public:
  explicit WeightsWriter(const std::filesystem::path& path);
  /// One part, from tensors on any device. Throws Error(storage).
  void part(const std::string& name, const NamedTensors& tensors, const WeightFacts& facts);
  /// Hands all to the operating system; without it the file is not complete.
  void close();

 private:
  h5::File file_;
};

/// Reads parts back, strictly: every tensor asked for must be there with its shape, and nothing else.
class WeightsReader {
 public:
  explicit WeightsReader(const std::filesystem::path& path) : file_(path) {}
  const WeightsFile& file() const { return file_; }
  /// Fills `tensors`, in place. Throws Error(input) naming what is missing, unexpected or of another shape.
  void into(const std::string& part, const NamedTensors& tensors) const;

 private:
  WeightsFile file_;
};

/// The same tensors, each name with `prefix` before it.
NamedTensors prefixed(const std::string& prefix, const NamedTensors& tensors);

}  // namespace langrun
