// Lanes of a bank as they were at one moment, read by one thread while another goes on training: copy on write, row by
// row. Only rows that are about to be overwritten before they were read are kept aside, in a bounded place.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "core/bank.h"

namespace langrun {

class FrozenBank {
 public:
  /// Freezes `lanes`, contiguous or channels-last, at this moment. Whoever changes a row of theirs calls `keep` first,
  /// until all rows are taken or the bank is abandoned. At most `spare_rows` rows are kept aside at a time. Copies ages
  /// and visits (16 bytes a row); images and latents stay where they are.
  FrozenBank(const std::vector<BankLane>& lanes, std::int64_t spare_rows);

  std::int64_t rows(std::size_t lane) const { return std::ssize(lanes_[lane].updates); }
  ImageShape image() const;
  std::int64_t latent_length() const;
  const std::vector<std::int64_t>& updates(std::size_t lane) const { return lanes_[lane].updates; }
  const std::vector<std::int64_t>& visits(std::size_t lane) const { return lanes_[lane].visits; }

  /// By the thread that changes the bank, before it does: keeps those of `rows` aside that were not taken yet. Where
  /// there is no place left it waits until the reader has come by. Returns the seconds this took.
  double keep(std::size_t lane, std::span<const std::int64_t> rows);

  /// By the reading thread: rows [first, first + count) of a lane, images [count, C, H, W] contiguous and latents
  /// [count, nz]. Every row once; lanes in any order, the rows of one lane rising without a gap.
  void take(std::size_t lane, std::int64_t first, std::int64_t count, float* images, float* latents);

  /// By either thread: nobody takes rows any more, so nothing is kept.
  void abandon();

  /// Most rows that were kept aside at any time.
  std::int64_t most_kept() const;

 private:
  struct Lane {
    at::Tensor images, latents;  // the bank's own
    std::vector<std::int64_t> updates, visits;
    std::vector<std::int32_t> place;     // of a row that is kept aside, else kNowhere
    std::int64_t taken = 0, taking = 0;  // rows below `taken` are read, those up to `taking` are being read
  };
  static constexpr std::int32_t kNowhere = -1;

  void keep_row(Lane& lane, std::int64_t row);
  float* spare(std::int32_t place) { return spare_.mutable_data_ptr<float>() + place * row_floats_; }

  std::vector<Lane> lanes_;
  bool planes_ = true;  // rows lie as [C, H, W]; else as [H, W, C]
  std::int64_t image_floats_ = 0, latent_floats_ = 0, row_floats_ = 0;
  at::Tensor spare_;  // [spare rows, image and latent]; memory that was never touched costs none

  mutable std::mutex mutex_;
  std::condition_variable moved_;
  std::vector<std::int32_t> free_;
  std::int64_t most_kept_ = 0;
  std::int64_t spare_rows_;
  bool abandoned_ = false;
};

}  // namespace langrun
