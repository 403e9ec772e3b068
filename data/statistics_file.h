// Statistics of a set of images in the features of a net, kept in a file (HDF5): `score` takes one in a store's place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/hdf5.h"

namespace langrun {

/// Which images a figure was made of.
struct ImagesUsed {
  std::string path;         ///< of the store; in a file of statistics its name without the folder
  std::int64_t images = 0;  ///< in the store
  std::int64_t channels = 0, height = 0, width = 0;
  std::int64_t count = 0;                                ///< used
  std::string choice = "first";                          ///< which: "first" or "random"
  std::int64_t seed = 0;                                 ///< of the random choice
  std::int64_t block = 0;                                ///< images a call of the net took
  std::int64_t threads = 0;                              ///< per rank
  std::map<std::string, h5::AttributeValue> attributes;  ///< what the store says of how it was made (its sampler)
};

/// Which features.
struct NetUsed {
  std::string network;   ///< "resnet20", or "torchscript"
  std::string file;      ///< of its weights
  std::string checksum;  ///< of built-in networks of the weights by name, of TorchScript of the file
  std::string range;     ///< what it takes: -1:1, 0:1, 0:255 or imagenet
  std::int64_t length = 0;
  std::int64_t input_height = 0, input_width = 0;  ///< images of another size are resized
};

/// Mean and scatter of the features of images.
struct StoredStatistics {
  ImagesUsed images;
  NetUsed net;
  std::vector<double> mean;     ///< [length]
  std::vector<double> scatter;  ///< [length, length], sum of (x - mean)(x - mean)^T
};

/// True where the file is HDF5 and says that it holds statistics.
bool is_statistics_file(const std::filesystem::path& path);

/// Writes PATH, whole or not at all. Throws Error(usage) where it exists, Error(storage) where it cannot be written.
void write_statistics_file(const std::filesystem::path& path, const StoredStatistics& statistics);

/// Throws Error(input), naming the file, where it is damaged (its seal guards all of it, a checksum mean, scatter and
/// count) or not of this form. Sizes are checked before memory is taken.
StoredStatistics read_statistics_file(const std::filesystem::path& path);

/// The attributes of a store's root that say how it came to be, but for names of classes and the like.
std::map<std::string, h5::AttributeValue> making_of(const std::filesystem::path& store);

}  // namespace langrun
