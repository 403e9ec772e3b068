// Data batches of a training job, by lane and step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/images.h"
#include "core/noise.h"
#include "distributed/lanes.h"
#include "jobs/training.h"

namespace langrun {

class TrainingData {
 public:
  /// Opens `config.data`. Throws Error(input) where it is missing, damaged or its images are not `image`.
  /// `flip`: mirror half of them, keyed by their positions in the stream.
  TrainingData(const TrainingConfig& config, const Lanes& lanes, const ImageShape& image, bool flip = false);
  /// Of a store whose images are asked for by index alone, never by batch.
  TrainingData(const std::string& store, const ImageShape& image);
  ~TrainingData();

  std::uint64_t count() const;
  /// Lane `lane`'s b images of training step `step`, x+ = data + sd * z: [b, C, H, W] float32, in [-1, 1] before the
  /// noise where the store is of bytes, else as its values are. Noise number i of a sample belongs to (its position in
  /// the data stream, i). Steps must be asked for in rising order, every owned lane once a step.
  at::Tensor noisy_batch(std::int64_t lane, std::int64_t step, NoiseKey key, double sd);
  /// Their labels, [b] int64; once noisy_batch gave that lane and step.
  at::Tensor labels(std::int64_t lane) const;
  /// Labels by index: [n] int64.
  at::Tensor labels_of(const std::vector<std::uint64_t>& indices) const;
  /// Names of the store's classes, by label.
  const std::vector<std::string>& classes() const;
  /// Steps begin anew: the next one asked for may be any.
  void restart();
  /// How long steps have waited for images of the store since this was last asked, seconds.
  double take_seconds_waited();
  /// Images by index: [n, C, H, W] float32, likewise.
  at::Tensor images(const std::vector<std::uint64_t>& indices);
  /// The store's images spread evenly, for pictures, and their labels.
  at::Tensor first_images(std::int64_t count);
  at::Tensor first_labels(std::int64_t count) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace langrun
