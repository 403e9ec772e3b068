#include "data/statistics_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <span>

#include "core/error.h"
#include "data/durable.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKind = "statistics";
constexpr const char* kMaking = "/making";
constexpr std::int64_t kFormat = 1;
constexpr std::int64_t kLongest = 1 << 15;  // features: 8 GB of scatter

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw Error(ExitCode::input, fmt::format("{}: {}", path.string(), what),
              "`langrun score STORE --statistics FILE` makes such files; make it again");
}

/// Of everything that decides the numbers.
std::string content_of(const StoredStatistics& s) {
  Checksum sum;
  const auto settings = fmt::format("{} {} {} {} {}x{}", s.images.count, s.net.length, s.net.checksum, s.net.range,
                                    s.net.input_height, s.net.input_width);
  sum.add(std::as_bytes(std::span(settings)));
  sum.add(std::as_bytes(std::span(s.mean)));
  sum.add(std::as_bytes(std::span(s.scatter)));
  return sum.text();
}

/// The same list of names for writing and reading.
template <typename Statistics, typename Text, typename Number>
void each_fact(Statistics& s, const Text& text, const Number& number) {
  text("store", s.images.path);
  text("choice", s.images.choice);
  number("images", s.images.images);
  number("channels", s.images.channels);
  number("height", s.images.height);
  number("width", s.images.width);
  number("count", s.images.count);
  number("seed", s.images.seed);
  number("block", s.images.block);
  number("threads", s.images.threads);
  text("network", s.net.network);
  text("weights", s.net.file);
  text("checksum", s.net.checksum);
  text("range", s.net.range);
  number("length", s.net.length);
  number("input_height", s.net.input_height);
  number("input_width", s.net.input_width);
}

void write(h5::File& file, const StoredStatistics& s) {
  const auto length = static_cast<std::uint64_t>(s.net.length);
  file.write("/mean", {length}, s.mean.data());
  file.write("/scatter", {length, length}, s.scatter.data());
  file.write_attribute("/", "kind", std::string(kKind));
  file.write_attribute("/", "format_version", kFormat);
  file.write_attribute("/", "content", content_of(s));
  const auto put = [&](const char* name, const auto& value) { file.write_attribute("/", name, value); };
  each_fact(s, put, put);
  file.create_group(kMaking);
  for (const auto& [name, value] : s.images.attributes)
    std::visit([&, &at = name](const auto& held) { file.write_attribute(kMaking, at, held); }, value);
}

std::map<std::string, h5::AttributeValue> attributes_of(const h5::File& file, const std::string& object) {
  std::map<std::string, h5::AttributeValue> attributes;
  for (const auto& name : file.attributes(object))
    if (auto value = file.read_any_attribute(object, name)) attributes.emplace(name, std::move(*value));
  return attributes;
}

std::vector<double> read_values(const h5::File& file, const std::string& name, const h5::Shape& shape) {
  if (!file.has(name) || file.is_group(name)) fail(file.path(), fmt::format("has no dataset {}", name));
  const auto dataset = file.dataset(name);
  if (dataset.type() != h5::Type::f64 || dataset.shape() != shape)
    fail(file.path(), fmt::format("{} is {} {}, expected float64 {}", name, h5::name_of(dataset.type()),
                                  h5::to_text(dataset.shape()), h5::to_text(shape)));
  return dataset.read<double>();
}

void check_facts(const fs::path& path, const StoredStatistics& s) {
  if (s.net.length < 1 || s.net.length > kLongest)
    fail(path, fmt::format("features of length {}, expected 1 to {}", s.net.length, kLongest));
  if (s.images.count <= s.net.length)
    fail(path, fmt::format("{} images for features of length {}, expected more", s.images.count, s.net.length));
}

}  // namespace

bool is_statistics_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored) || !h5::looks_like_hdf5(path)) return false;
  const auto file = h5::File::open(path);
  if (!file.has_attribute("/", "kind")) return false;
  const auto kind = file.read_any_attribute("/", "kind");
  return kind && *kind == h5::AttributeValue(std::string(kKind));
}

void write_statistics_file(const fs::path& path, const StoredStatistics& statistics) {
  if (fs::exists(path))
    throw Error(ExitCode::usage, fmt::format("{} exists already", path.string()),
                "nothing is written over; remove it or choose another name");
  const fs::path partial = fmt::format("{}.{}.partial", path.string(), ::getpid());
  try {
    auto file = h5::File::create(partial);
    write(file, statistics);
    file.seal();
    sync_path(partial);
    rename_durably(partial, path);
  } catch (...) {
    std::error_code ignored;
    fs::remove(partial, ignored);
    throw;
  }
}

StoredStatistics read_statistics_file(const fs::path& path) {
  const auto file = h5::File::open(path);
  if (const auto version = file.read_int_attribute("/", "format_version"); version > kFormat)
    throw Error(ExitCode::input,
                fmt::format("{} is of format {}, this langrun reads up to {}", path.string(), version, kFormat),
                "use a newer langrun");
  StoredStatistics s;
  each_fact(
      s, [&](const char* name, std::string& value) { value = file.read_text_attribute("/", name); },
      [&](const char* name, std::int64_t& value) { value = file.read_int_attribute("/", name); });
  check_facts(path, s);
  const auto length = static_cast<std::uint64_t>(s.net.length);
  s.mean = read_values(file, "/mean", {length});
  s.scatter = read_values(file, "/scatter", {length, length});
  if (content_of(s) != file.read_text_attribute("/", "content"))
    fail(path, "is damaged: its values do not belong to its checksum");
  if (file.has(kMaking)) s.images.attributes = attributes_of(file, kMaking);
  return s;
}

std::map<std::string, h5::AttributeValue> making_of(const fs::path& store) {
  auto attributes = attributes_of(h5::File::open(store), "/");
  for (const char* name : {"classes", "shards", "format_version", "content"}) attributes.erase(name);
  return attributes;
}

}  // namespace langrun
