#include "launch/sample_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <span>
#include <string>

#include "data/durable.h"
#include "data/hdf5.h"
#include "data/image_store.h"
#include "data/store_guard.h"
#include "jobs/points_panel.h"

namespace langrun::launch {

namespace fs = std::filesystem;

struct SampleStore::Contents {
  SampleConfig config;
  fs::path out, partial;
  std::optional<h5::File> file;
  std::optional<h5::Dataset> images;
  std::vector<std::uint64_t> checksums;
  bool done = false;

  void begin(const ImageShape& shape);
};

SampleStore::SampleStore(const SampleConfig& config, const fs::path& out)
    : contents_(new Contents{config, out, fmt::format("{}.{}.partial", out.string(), ::getpid()), {}, {}, {}, false}) {}

SampleStore::~SampleStore() {
  std::error_code ignored;
  if (contents_->file && !contents_->done) fs::remove(contents_->partial, ignored);
}

void SampleStore::set_count(std::int64_t count) { contents_->config.count = count; }

void SampleStore::add(std::int64_t first, const ImageShape& shape, const std::vector<std::uint8_t>& images) {
  if (!contents_->file) contents_->begin(shape);
  const auto each = sample_bytes(shape), count = images.size() / each;
  contents_->images->write_stored_rows(static_cast<std::uint64_t>(first), count, images.data());
  for (std::size_t i = 0; i < count; ++i)
    contents_->checksums[static_cast<std::size_t>(first) + i] = image_checksum(std::span(images).subspan(i * each, each));
}

void SampleStore::finish() {
  contents_->images.reset();
  auto& file = *contents_->file;
  write_image_checksums(file, contents_->checksums);
  file.write_attribute("/", store_names::kContent, store_content(file, contents_->checksums));
  file.close();
  sync_path(contents_->partial);
  rename_durably(contents_->partial, contents_->out);
  contents_->done = true;
}

void SampleStore::Contents::begin(const ImageShape& shape) {
  std::error_code ignored;
  fs::remove(partial, ignored);
  const auto n = static_cast<std::uint64_t>(config.count);
  file.emplace(h5::File::create(partial));
  images.emplace(
      file->create_dataset("/images", are_points(shape) ? h5::Type::f32 : h5::Type::u8,
                           {n, static_cast<std::uint64_t>(shape.height), static_cast<std::uint64_t>(shape.width),
                            static_cast<std::uint64_t>(shape.channels)}));
  checksums.assign(n, 0);
  const std::vector<std::int64_t> labels(n, 0);
  file->write("/labels", {n}, labels.data());
  file->write_attribute("/", "classes", std::vector<std::string>{"sample"});
  file->write_attribute("/", "weights", config.weights);
  file->write_attribute("/", "checkpoint",
                        config.weights == "initial" ? "none" : config.checkpoint.filename().string());
  file->write_attribute("/", "seed", config.seed);
  file->write_attribute("/", "call", config.call);
  file->write_attribute("/", "langevin_steps", config.langevin.steps);
  file->write_attribute("/", "langevin_eta", config.langevin.eta);
  file->write_attribute("/", "langevin_temperature", config.langevin.temperature);
  if (config.energy.joint_temperature != 1)
    file->write_attribute("/", "joint_temperature", config.energy.joint_temperature);
  if (!config.source.empty()) file->write_attribute("/", "source", config.source);
}

}  // namespace langrun::launch
