#include "data/store_guard.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "core/error.h"
#include "data/durable.h"
#include "data/image_store.h"

namespace langrun {
namespace {

constexpr std::uint64_t kLabelPiece = std::uint64_t{1} << 17;

/// An attribute's value with its kind, so that no two values read alike.
std::string said(const h5::AttributeValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("text {} {}", text->size(), *text);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return fmt::format("integer {}", *number);
  return fmt::format("real {:016x}", std::bit_cast<std::uint64_t>(std::get<double>(value)));
}

std::string said(const h5::File& file, const std::string& name) {
  if (const auto one = file.read_any_attribute("/", name)) return said(*one);
  std::string all = "texts";
  for (const auto& text : file.read_texts_attribute("/", name)) all += fmt::format(" {} {}", text.size(), text);
  return all;
}

void add_labels(Checksum& sum, const h5::Dataset& labels) {
  const auto count = labels.shape().empty() ? 0 : labels.shape()[0];
  std::vector<std::int64_t> piece;
  for (std::uint64_t first = 0; first < count; first += kLabelPiece) {
    piece.resize(std::min(kLabelPiece, count - first));
    labels.read_rows(first, piece.size(), piece.data());
    sum.add(std::as_bytes(std::span(piece)));
  }
}

}  // namespace

std::uint64_t image_checksum(std::span<const std::uint8_t> image) { return XXH3_64bits(image.data(), image.size()); }

void write_image_checksums(h5::File& file, const std::vector<std::uint64_t>& checksums) {
  file.write(store_names::kChecksums, {checksums.size()}, checksums.data());
}

std::optional<std::vector<std::uint64_t>> read_image_checksums(const h5::File& file, std::uint64_t rows) {
  if (!file.has(store_names::kChecksums)) return std::nullopt;
  const auto checksums = file.dataset(store_names::kChecksums);
  if (checksums.type() != h5::Type::u64 || checksums.shape() != h5::Shape{rows})
    throw Error(ExitCode::input,
                fmt::format("{}: {} is {} {}, expected uint64 [{}]", file.path().string(), store_names::kChecksums,
                            h5::name_of(checksums.type()), h5::to_text(checksums.shape()), rows));
  return checksums.read<std::uint64_t>();
}

std::string store_content(const h5::File& file, std::span<const std::uint64_t> checksums) {
  const auto images = file.dataset(store_names::kImages), labels = file.dataset(store_names::kLabels);
  Checksum sum;
  const auto add = [&](const std::string& text) { sum.add(std::as_bytes(std::span(text.data(), text.size()))); };
  add(fmt::format("images {} {} labels {}\n", h5::name_of(images.type()), h5::to_text(images.shape()),
                  h5::to_text(labels.shape())));
  for (const auto& name : file.attributes("/"))
    if (name != store_names::kContent) add(fmt::format("{} {} {}\n", name.size(), name, said(file, name)));
  add_labels(sum, labels);
  sum.add(std::as_bytes(checksums));
  return sum.text();
}

}  // namespace langrun
