// Weights in HDF5: one group a part (`/energy`, `/generator_average`, `/classifier`, `/optimizer`, ...), one float32
// dataset a tensor, named as in the module (`/energy/f.0.weight`), and the facts needed to build the network as text
// attributes of the group (`network`, `width`, ...).
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/named_array.h"
#include "data/streamed_file.h"

namespace langrun {

/// What a part's network is built from: `network`, `width`, ... to their values as text.
using WeightFacts = std::map<std::string, std::string>;

/// One part as it is written.
struct WeightsPart {
  std::string part;  ///< name of the group, without the slash
  WeightFacts facts;
  std::vector<NamedArray> arrays;
};

/// Adds a part to a file that is being laid out, and will be sealed. The part must be there, unchanged, until the file
/// is written. Throws Error(storage).
void add_weights(StreamedFile& file, const WeightsPart& part);

/// Writes a new file of these parts: to PATH.partial, synced, then renamed. Throws Error(usage) where PATH
/// exists, Error(storage) where it cannot be written.
void write_weights_file(const std::filesystem::path& path, const std::vector<WeightsPart>& parts);

/// A file of weights, open for reading; nothing is read before it is asked for.
class WeightsFile {
 public:
  /// Throws Error(input) for a missing or damaged file: its seal guards all of it.
  explicit WeightsFile(const std::filesystem::path& path);

  struct Entry {
    std::string name;
    ArrayShape shape;
  };

  const std::filesystem::path& path() const { return file_.path(); }
  /// Parts of the file, bytewise sorted.
  std::vector<std::string> parts() const;
  bool has(const std::string& part) const;
  /// Throws Error(input), naming what is there, where the file has no such part.
  WeightFacts facts(const std::string& part) const;
  /// Names and shapes of a part's tensors, bytewise sorted by name.
  std::vector<Entry> entries(const std::string& part) const;
  /// One tensor into memory of exactly its size.
  void read_into(const std::string& part, const std::string& name, std::span<float> out) const;
  /// A whole part, bytewise sorted by name.
  std::vector<NamedArray> read(const std::string& part) const;

 private:
  void require(const std::string& part) const;
  h5::File file_;
};

}  // namespace langrun
