// CIFAR-10 and CIFAR-100 as their authors publish them in binary: records of label bytes and planar 32 x 32 RGB.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/raster.h"

namespace langrun {

struct CifarLayout {
  std::uint64_t record = 0;    ///< bytes of one record
  std::uint64_t label_at = 0;  ///< which byte of it is the label (of CIFAR-100 the fine one)
  std::uint32_t classes = 0;
  std::uint64_t records = 0;
};

/// The layout of a whole file, by its length and label bytes; nothing where it is neither. Reads the label bytes only.
std::optional<CifarLayout> cifar_layout(std::span<const std::uint8_t> bytes);

/// The image of one record of 3073 or 3074 bytes.
Raster decode_cifar(std::span<const std::uint8_t> record);

/// Class names from the text of batches.meta.txt or fine_label_names.txt, one a line; empty lines are dropped.
std::vector<std::string> parse_class_names(std::span<const std::uint8_t> text);

}  // namespace langrun
