#include "data/cifar_binary.h"

#include <algorithm>
#include <string_view>

namespace langrun {
namespace {

constexpr std::uint64_t kPlane = 32 * 32;

bool labels_fit(std::span<const std::uint8_t> bytes, const CifarLayout& layout) {
  if (layout.records == 0 || bytes.size() % layout.record != 0) return false;
  for (std::uint64_t i = 0; i < layout.records; ++i)
    if (bytes[i * layout.record + layout.label_at] >= layout.classes) return false;
  // The coarse label of CIFAR-100 stands first and has 20 values.
  if (layout.label_at == 1)
    for (std::uint64_t i = 0; i < layout.records; ++i)
      if (bytes[i * layout.record] >= 20) return false;
  return true;
}

}  // namespace

std::optional<CifarLayout> cifar_layout(std::span<const std::uint8_t> bytes) {
  const CifarLayout ten{1 + 3 * kPlane, 0, 10, bytes.size() / (1 + 3 * kPlane)};
  const CifarLayout hundred{2 + 3 * kPlane, 1, 100, bytes.size() / (2 + 3 * kPlane)};
  if (labels_fit(bytes, ten)) return ten;
  if (labels_fit(bytes, hundred)) return hundred;
  return std::nullopt;
}

Raster decode_cifar(std::span<const std::uint8_t> record) {
  const auto planes = record.last(3 * kPlane);
  Raster image{32, 32, 3, std::vector<std::uint8_t>(3 * kPlane)};
  for (std::uint64_t pixel = 0; pixel < kPlane; ++pixel)
    for (std::uint64_t c = 0; c < 3; ++c) image.pixels[pixel * 3 + c] = planes[c * kPlane + pixel];
  return image;
}

std::vector<std::string> parse_class_names(std::span<const std::uint8_t> text) {
  const std::string_view all(reinterpret_cast<const char*>(text.data()), text.size());
  std::vector<std::string> names;
  for (std::size_t at = 0; at < all.size();) {
    const auto end = std::min(all.find('\n', at), all.size());
    auto line = all.substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (!line.empty()) names.emplace_back(line);
    at = end + 1;
  }
  return names;
}

}  // namespace langrun
