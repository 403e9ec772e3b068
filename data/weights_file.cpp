#include "data/weights_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "data/durable.h"

namespace langrun {
namespace {

constexpr std::size_t kWriteMemory = 8 << 20;

std::string dataset_name(const std::string& part, const std::string& name) { return fmt::format("/{}/{}", part, name); }

}  // namespace

void add_weights(StreamedFile& file, const WeightsPart& part) {
  file.seal();
  const auto group = "/" + part.part;
  file.create_group(group);
  for (const auto& [key, value] : part.facts) file.write_attribute(group, key, value);
  for (const auto& array : part.arrays) {
    // A slash would make a group of its own, which no reader looks into.
    if (array.name.empty() || array.name.find('/') != std::string::npos)
      throw Error(ExitCode::input,
                  fmt::format("'{}' cannot be the name of a tensor in {}", array.name, file.path().string()));
    const auto values = array.data();
    if (static_cast<std::int64_t>(values.size()) != elements(array.shape))
      throw Error(ExitCode::internal,
                  fmt::format("{} has {} values for shape {}", array.name, values.size(), to_text(array.shape)));
    file.add(dataset_name(part.part, array.name), h5::Shape(array.shape.begin(), array.shape.end()), values.data());
  }
}

void write_weights_file(const std::filesystem::path& path, const std::vector<WeightsPart>& parts) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored))
    throw Error(ExitCode::usage, fmt::format("{} exists already", path.string()),
                "nothing is written over; remove it or choose another name");
  auto partial = path;
  partial += ".partial";
  // What an interrupted run left under this name was never visible as weights.
  std::filesystem::remove(partial, ignored);
  try {
    StreamedFile file(partial);
    for (const auto& part : parts) add_weights(file, part);
    file.write(kWriteMemory);
    rename_durably(partial, path);
  } catch (...) {
    std::filesystem::remove(partial, ignored);
    throw;
  }
}

WeightsFile::WeightsFile(const std::filesystem::path& path) : file_(h5::File::open(path)) {}

std::vector<std::string> WeightsFile::parts() const {
  std::vector<std::string> names;
  for (const auto& name : file_.children("/"))
    if (file_.is_group("/" + name)) names.push_back(name);
  return names;
}

bool WeightsFile::has(const std::string& part) const { return file_.has("/" + part) && file_.is_group("/" + part); }

void WeightsFile::require(const std::string& part) const {
  if (has(part)) return;
  const auto there = parts();
  throw Error(ExitCode::input, fmt::format("{} holds no weights '{}'", path().string(), part),
              there.empty() ? "it is no file of weights; make one with `langrun weights import`"
                            : fmt::format("it has {}", fmt::join(there, ", ")));
}

WeightFacts WeightsFile::facts(const std::string& part) const {
  require(part);
  WeightFacts facts;
  for (const auto& key : file_.attributes("/" + part)) facts[key] = file_.read_text_attribute("/" + part, key);
  return facts;
}

std::vector<WeightsFile::Entry> WeightsFile::entries(const std::string& part) const {
  require(part);
  std::vector<Entry> entries;
  for (const auto& name : file_.children("/" + part)) {
    if (file_.is_group(dataset_name(part, name)))
      throw Error(ExitCode::input,
                  fmt::format("{}: {} is a group, expected a tensor", path().string(), dataset_name(part, name)));
    const auto shape = file_.dataset(dataset_name(part, name)).shape();
    entries.push_back({name, ArrayShape(shape.begin(), shape.end())});
  }
  return entries;
}

void WeightsFile::read_into(const std::string& part, const std::string& name, std::span<float> out) const {
  const auto dataset = file_.dataset(dataset_name(part, name));
  if (h5::elements(dataset.shape()) != out.size())
    throw Error(ExitCode::input, fmt::format("{}: {} has shape {}, {} numbers expected", path().string(),
                                             dataset_name(part, name), h5::to_text(dataset.shape()), out.size()));
  dataset.read_all(h5::Type::f32, out.data());
}

std::vector<NamedArray> WeightsFile::read(const std::string& part) const {
  std::vector<NamedArray> arrays;
  for (auto& entry : entries(part)) {
    auto values = file_.dataset(dataset_name(part, entry.name)).read<float>();
    arrays.emplace_back(std::move(entry.name), std::move(entry.shape), std::move(values));
  }
  return arrays;
}

}  // namespace langrun
