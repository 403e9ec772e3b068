// Events for TensorBoard: scalars and pictures of a run, in files that it reads while they grow.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "launch/metrics.h"

namespace langrun::launch {

/// Writes one events.out.tfevents.* file: records of (length, masked CRC32C of it, protobuf Event, masked CRC32C of
/// that). Every call is handed to the operating system before it returns. Used by rank 0 alone.
class EventsWriter {
 public:
  /// Starts a new file in `folder` that sorts behind those already there (TensorBoard reads them in that order).
  /// `finished_steps` is 0 for a new run; on a resume, the checkpoint's step: TensorBoard then forgets what earlier
  /// files say of later steps. Throws Error(storage).
  EventsWriter(const std::filesystem::path& folder, std::int64_t finished_steps);
  EventsWriter(const EventsWriter&) = delete;
  EventsWriter& operator=(const EventsWriter&) = delete;
  ~EventsWriter();

  /// Scalars of one step, (tag, value), rounded to float32. Throws Error(storage) on a full disk.
  void scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values);
  /// Counts of one step as a histogram: counts[i] values lie in [edges[i], edges[i + 1]), so there is one edge more
  /// than counts. Mean and spread are those of values in the middle of their bins. What is no count (negative, not
  /// finite) is taken as 0. Throws Error(storage) on a full disk.
  void histogram(std::int64_t step, const std::string& tag, std::span<const double> edges,
                 std::span<const double> counts);
  /// All of a record: train/NAME for mathematics, speed/NAME for timing (timers as their average over ranks); arrays
  /// as histograms, those called *_ages over ages (0, 1, 2-3, 4-7, ...), others over the index.
  void record(const StepRecord& record);
  /// A picture as PNG bytes; `channels` 1 (grey) or 3 (RGB).
  void image(std::int64_t step, const std::string& tag, std::int64_t width, std::int64_t height, int channels,
             std::span<const std::uint8_t> png);

  const std::filesystem::path& path() const { return path_; }

 private:
  void write(const std::string& event);

  std::filesystem::path path_;
  int file_ = -1;
};

/// CRC32C (Castagnoli) of `bytes`, as it stands in the standard (RFC 3720): "123456789" gives 0xe3069283.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes);

}  // namespace langrun::launch
