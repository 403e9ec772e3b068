#include "core/frozen_bank.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

// Rows read between two looks at what the other thread wants: it waits for no more than these.
constexpr std::int64_t kRowsAtOnce = 16;

/// An image that lies as [H, W, C], to [C, H, W].
void to_planes(const float* pixels, std::int64_t channels, std::int64_t plane, float* out) {
  if (channels == 3) {
    float *red = out, *green = out + plane, *blue = out + 2 * plane;
    for (std::int64_t i = 0; i < plane; ++i) {
      red[i] = pixels[3 * i];
      green[i] = pixels[3 * i + 1];
      blue[i] = pixels[3 * i + 2];
    }
    return;
  }
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < plane; ++i) out[c * plane + i] = pixels[i * channels + c];
}

std::size_t bytes(std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); }

}  // namespace

FrozenBank::FrozenBank(const std::vector<BankLane>& lanes, std::int64_t spare_rows)
    : spare_rows_(std::max<std::int64_t>(spare_rows, 0)) {
  for (const auto& lane : lanes) {
    planes_ = lane.images.is_contiguous();
    if ((!planes_ && !lane.images.is_contiguous(at::MemoryFormat::ChannelsLast)) || !lane.latents.is_contiguous())
      throw Error(ExitCode::internal, "a bank with gaps cannot be frozen");
    lanes_.push_back({lane.images, lane.latents, lane.updates, lane.visits,
                      std::vector<std::int32_t>(static_cast<std::size_t>(lane.rows()), kNowhere)});
  }
  if (lanes_.empty()) return;
  image_floats_ = image().elements();
  latent_floats_ = latent_length();
  row_floats_ = image_floats_ + latent_floats_;
  spare_ = torch::empty({spare_rows_, row_floats_});
  // The last place is the first to go, and those just given back go first: few pages are ever touched.
  for (std::int64_t i = spare_rows_ - 1; i >= 0; --i) free_.push_back(static_cast<std::int32_t>(i));
}

ImageShape FrozenBank::image() const {
  const auto& images = lanes_.at(0).images;
  return {images.size(1), images.size(2), images.size(3)};
}

std::int64_t FrozenBank::latent_length() const { return lanes_.at(0).latents.size(1); }

double FrozenBank::keep(std::size_t lane, std::span<const std::int64_t> rows) {
  const auto begun = std::chrono::steady_clock::now();
  for (const auto row : rows) keep_row(lanes_[lane], row);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

void FrozenBank::keep_row(Lane& lane, std::int64_t row) {
  std::unique_lock lock(mutex_);
  auto& place = lane.place[static_cast<std::size_t>(row)];
  const auto settled = [&] { return abandoned_ || row < lane.taken || place != kNowhere; };
  // The reader never waits for this thread, so it comes by.
  moved_.wait(lock, [&] { return settled() || (row >= lane.taking && !free_.empty()); });
  if (settled()) return;
  const auto at = free_.back();
  free_.pop_back();
  most_kept_ = std::max(most_kept_, spare_rows_ - std::ssize(free_));
  // Under the lock, since the reader may begin with this row at once.
  std::memcpy(spare(at), lane.images.const_data_ptr<float>() + row * image_floats_, bytes(image_floats_));
  std::memcpy(spare(at) + image_floats_, lane.latents.const_data_ptr<float>() + row * latent_floats_,
              bytes(latent_floats_));
  place = at;
}

void FrozenBank::take(std::size_t which, std::int64_t first, std::int64_t count, float* images, float* latents) {
  auto& lane = lanes_[which];
  const auto shape = image();
  for (std::int64_t begin = first; begin < first + count; begin += kRowsAtOnce) {
    const auto end = std::min(begin + kRowsAtOnce, first + count);
    {
      const std::lock_guard lock(mutex_);
      if (begin != lane.taken)
        throw Error(ExitCode::internal, fmt::format("row {} taken where {} is next", begin, lane.taken));
      lane.taking = end;
    }
    // These rows stay as they are: who wants to overwrite one of them waits until `taken` has passed it, and those kept
    // aside are only read.
    for (auto row = begin; row < end; ++row) {
      const auto place = lane.place[static_cast<std::size_t>(row)];
      const auto* image = place == kNowhere ? lane.images.const_data_ptr<float>() + row * image_floats_ : spare(place);
      const auto* latent = place == kNowhere ? lane.latents.const_data_ptr<float>() + row * latent_floats_
                                             : spare(place) + image_floats_;
      auto* out = images + (row - first) * image_floats_;
      if (planes_)
        std::memcpy(out, image, bytes(image_floats_));
      else
        to_planes(image, shape.channels, shape.height * shape.width, out);
      std::memcpy(latents + (row - first) * latent_floats_, latent, bytes(latent_floats_));
    }
    {
      const std::lock_guard lock(mutex_);
      lane.taken = end;
      for (auto row = begin; row < end; ++row) {
        const auto place = lane.place[static_cast<std::size_t>(row)];
        if (place != kNowhere) free_.push_back(place);
      }
    }
    moved_.notify_all();
  }
}

void FrozenBank::abandon() {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  moved_.notify_all();
}

std::int64_t FrozenBank::most_kept() const {
  const std::lock_guard lock(mutex_);
  return most_kept_;
}

}  // namespace langrun
