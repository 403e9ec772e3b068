#include "jobs/training_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/torch.h"
#include "data/image_store.h"
#include "data/loader.h"

namespace langrun {
namespace {

ImageStore open_for(const std::string& path, const ImageShape& image) {
  if (path.empty())
    throw Error(ExitCode::usage, "--data is missing",
                "name an image store; `langrun data synth` makes one to try with");
  auto store = ImageStore::open(path, Accept::any_type);
  const auto found = store.shape();
  if (!(found == image))
    throw Error(ExitCode::input,
                fmt::format("{} holds {}x{} images of {} channels, the network takes {}x{} of {}", path, found.height,
                            found.width, found.channels, image.height, image.width, image.channels),
                fmt::format("import the images with --size {}, or choose another network", image.height));
  return store;
}

at::Tensor empty_images(std::int64_t count, const ImageShape& image) {
  return torch::empty({count, image.channels, image.height, image.width},
                      torch::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast));
}

/// Images as `store` has them into `out`, channels-last. `indices` names them in messages.
void to_tensor(const ImageStore& store, std::span<const std::uint8_t> bytes, std::span<const std::uint64_t> indices,
               at::Tensor& out) {
  const std::span values(out.mutable_data_ptr<float>(), bytes.size() / store.value_bytes());
  if (store.pixels() == Pixels::bytes) {
    to_unit_range(bytes, store.shape(), Layout::pixel_major, values);
    return;
  }
  std::memcpy(values.data(), bytes.data(), bytes.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw Error(ExitCode::input,
                  fmt::format("{}: image {} holds a value that is not finite", store.path().string(),
                              indices[i / static_cast<std::size_t>(store.shape().elements())]),
                  "make the store anew without it");
}

std::vector<std::uint64_t> spread_evenly(std::int64_t wanted, std::uint64_t count) {
  const auto n = std::min<std::uint64_t>(static_cast<std::uint64_t>(wanted), count);
  std::vector<std::uint64_t> indices;
  for (std::uint64_t i = 0; i < n; ++i) indices.push_back(i * count / n);
  return indices;
}

}  // namespace

struct TrainingData::Parts {
  Parts(const TrainingConfig& config, const Lanes& lanes, const ImageShape& shape)
      : store(open_for(config.data, shape)), image(shape), lane_rows(config.batch / lanes.count) {
    settings.seed = static_cast<std::uint64_t>(config.seed);
    settings.batch = config.batch;
    settings.lanes = lanes.count;
    for (std::int64_t lane = lanes.first; lane < lanes.first + lanes.owned; ++lane) settings.own.push_back(lane);
  }

  const Batch& batch_of(std::int64_t step) {
    // The thread starts with the first step asked for: a resumed run begins in the middle of the stream.
    if (!loader) {
      settings.first_step = step;
      loader.emplace(store, settings);
    }
    while (batch.step < step) batch = loader->next();
    if (batch.step != step)
      throw Error(ExitCode::internal, fmt::format("data of step {} asked for after step {}", step, batch.step));
    return batch;
  }

  ImageStore store;
  ImageShape image;
  std::int64_t lane_rows;
  LoaderSettings settings;
  std::optional<Loader> loader;
  Batch batch;
  double seconds_told = 0;
};

TrainingData::TrainingData(const TrainingConfig& config, const Lanes& lanes, const ImageShape& image, bool flip)
    : parts_(std::make_unique<Parts>(config, lanes, image)) {
  parts_->settings.flip = flip;
}

TrainingData::TrainingData(const std::string& store, const ImageShape& image) {
  TrainingConfig config;
  config.data = store;
  config.batch = 1;
  parts_ = std::make_unique<Parts>(config, Lanes{1, 0, 1}, image);
}

TrainingData::~TrainingData() = default;

std::uint64_t TrainingData::count() const { return parts_->store.count(); }

at::Tensor TrainingData::noisy_batch(std::int64_t lane, std::int64_t step, NoiseKey key, double sd) {
  const auto& batch = parts_->batch_of(step);
  const auto b = parts_->lane_rows, pixels = parts_->image.elements();
  auto images = empty_images(b, parts_->image);
  const auto first_lane = parts_->settings.own.front();
  const auto place = static_cast<std::size_t>(lane - first_lane), rows = static_cast<std::size_t>(b),
             bytes = rows * parts_->store.image_bytes();
  to_tensor(parts_->store, std::span(batch.images).subspan(place * bytes, bytes),
            std::span(batch.indices).subspan(place * rows, rows), images);
  if (sd <= 0) return images;
  std::vector<float> noise(static_cast<std::size_t>(pixels));
  auto* values = images.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < b; ++i) {
    const auto position = static_cast<std::uint64_t>((step - 1) * parts_->settings.batch + lane * b + i);
    fill_normal(key, {position, 0}, noise);
    for (std::int64_t j = 0; j < pixels; ++j)
      values[i * pixels + j] += static_cast<float>(sd) * noise[static_cast<std::size_t>(j)];
  }
  return images;
}

at::Tensor TrainingData::labels(std::int64_t lane) const {
  const auto b = parts_->lane_rows, place = lane - parts_->settings.own.front();
  auto labels = torch::empty({b}, torch::kInt64);
  std::copy_n(parts_->batch.labels.begin() + place * b, b, labels.mutable_data_ptr<std::int64_t>());
  return labels;
}

at::Tensor TrainingData::labels_of(const std::vector<std::uint64_t>& indices) const {
  auto labels = torch::empty({static_cast<std::int64_t>(indices.size())}, torch::kInt64);
  parts_->store.read_labels(indices, {labels.mutable_data_ptr<std::int64_t>(), indices.size()});
  return labels;
}

const std::vector<std::string>& TrainingData::classes() const { return parts_->store.classes(); }

void TrainingData::restart() {
  take_seconds_waited();
  parts_->loader.reset();
  parts_->seconds_told = 0;
  parts_->batch = {};
}

double TrainingData::take_seconds_waited() {
  const double all = parts_->loader ? parts_->loader->seconds_waited() : 0;
  return all - std::exchange(parts_->seconds_told, all);
}

at::Tensor TrainingData::images(const std::vector<std::uint64_t>& indices) {
  std::vector<std::uint8_t> bytes(indices.size() * parts_->store.image_bytes());
  parts_->store.read(indices, bytes);
  auto images = empty_images(static_cast<std::int64_t>(indices.size()), parts_->image);
  to_tensor(parts_->store, bytes, indices, images);
  return images;
}

at::Tensor TrainingData::first_images(std::int64_t wanted) { return images(spread_evenly(wanted, count())); }

at::Tensor TrainingData::first_labels(std::int64_t wanted) const { return labels_of(spread_evenly(wanted, count())); }

}  // namespace langrun
