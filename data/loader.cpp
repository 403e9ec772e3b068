#include "data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/error.h"
#include "core/noise.h"

namespace langrun {
namespace {

void check(const LoaderSettings& settings) {
  const auto fail = [](const std::string& what, const std::string& hint) { throw Error(ExitCode::usage, what, hint); };
  if (settings.lanes < 1 || settings.batch < 1 || settings.batch % settings.lanes != 0)
    fail(fmt::format("a batch of {} images does not divide into {} lanes", settings.batch, settings.lanes),
         "choose a batch that is a multiple of the lanes");
  for (const auto lane : settings.own)
    if (lane < 0 || lane >= settings.lanes)
      fail(fmt::format("lane {} of {}", lane, settings.lanes), "lanes count from 0");
  if (settings.ahead < 1) fail(fmt::format("{} steps read ahead", settings.ahead), "expected at least 1");
  if (settings.first_step < 1) fail(fmt::format("first step {}", settings.first_step), "steps count from 1");
}

}  // namespace

std::uint64_t SampleOrder::operator()(std::uint64_t position) {
  const auto epoch = position / permutation_.size();
  if (epoch != epoch_) {
    permutation_ = Permutation(seed_, epoch, permutation_.size());
    epoch_ = epoch;
  }
  return permutation_(position % permutation_.size());
}

Loader::Loader(const ImageStore& store, LoaderSettings settings)
    : store_(store), settings_((check(settings), std::move(settings))), order_(settings_.seed, store.count()) {
  thread_ = std::thread([this] { run(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Batch Loader::next() {
  std::unique_lock lock(mutex_);
  if (ready_.empty() && !failure_) {
    const auto begun = std::chrono::steady_clock::now();
    changed_.wait(lock, [this] { return !ready_.empty() || failure_; });
    seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  }
  if (ready_.empty()) std::rethrow_exception(failure_);
  Batch batch = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batch;
}

void Loader::run() {
  // The next training step waits for this; whoever writes a checkpoint meanwhile has time.
  const h5::GoesFirst goes_first;
  try {
    for (auto step = settings_.first_step;; ++step) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stop_ || std::ssize(ready_) < settings_.ahead; });
        if (stop_) return;
      }
      Batch batch = load(step);
      const std::lock_guard lock(mutex_);
      ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

Batch Loader::load(std::int64_t step) {
  const auto per_lane = static_cast<std::uint64_t>(settings_.batch / settings_.lanes);
  Batch batch;
  batch.step = step;
  std::vector<std::uint64_t> positions;
  for (const auto lane : settings_.own)
    for (std::uint64_t i = 0; i < per_lane; ++i)
      positions.push_back(static_cast<std::uint64_t>(step - 1) * static_cast<std::uint64_t>(settings_.batch) +
                          static_cast<std::uint64_t>(lane) * per_lane + i);
  for (const auto position : positions) batch.indices.push_back(order_(position));
  batch.images.resize(positions.size() * store_.image_bytes());
  batch.labels.resize(positions.size());
  store_.read(batch.indices, batch.images);
  store_.read_labels(batch.indices, batch.labels);
  if (settings_.flip)
    for (std::size_t i = 0; i < positions.size(); ++i)
      mirror(positions[i], batch.images.data() + i * store_.image_bytes());
  return batch;
}

void Loader::mirror(std::uint64_t position, std::uint8_t* image) const {
  // Keyed by position, not by image: the same image is mirrored anew in every epoch.
  if (uniform_integer(noise_key(settings_.seed, Stream::data_flip), {position, 0}, 0, 2) == 0) return;
  const auto shape = store_.shape();
  const auto pixel = shape.channels * static_cast<std::int64_t>(store_.value_bytes());
  for (std::int64_t y = 0; y < shape.height; ++y) {
    std::uint8_t* row = image + y * shape.width * pixel;
    for (std::int64_t left = 0, right = shape.width - 1; left < right; ++left, --right)
      std::swap_ranges(row + left * pixel, row + (left + 1) * pixel, row + right * pixel);
  }
}

void to_unit_range(std::span<const std::uint8_t> images, const ImageShape& shape, Layout layout, std::span<float> out) {
  if (images.size() != out.size() || images.size() % static_cast<std::size_t>(shape.elements()) != 0)
    throw Error(ExitCode::internal,
                fmt::format("{} values into {} floats, images of {}", images.size(), out.size(), shape.elements()));
  std::array<float, 256> table;
  for (int value = 0; value < 256; ++value)
    table[static_cast<std::size_t>(value)] = static_cast<float>(value) / 127.5F - 1.0F;
  if (layout == Layout::pixel_major) {
    std::transform(images.begin(), images.end(), out.begin(), [&](std::uint8_t value) { return table[value]; });
    return;
  }
  const auto plane = static_cast<std::size_t>(shape.height * shape.width),
             channels = static_cast<std::size_t>(shape.channels);
  for (std::size_t first = 0; first < images.size(); first += plane * channels)
    for (std::size_t pixel = 0; pixel < plane; ++pixel)
      for (std::size_t c = 0; c < channels; ++c)
        out[first + c * plane + pixel] = table[images[first + pixel * channels + c]];
}

}  // namespace langrun
