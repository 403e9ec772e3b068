// metrics.jsonl: what every step measured, one JSON object a line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace langrun::launch {

/// A timer over ranks, seconds.
struct Spread {
  double min = 0, avg = 0, max = 0;
  bool operator==(const Spread&) const = default;
};

/// One line of metrics.jsonl. Everything but image_steps_per_second and seconds_* is mathematics and has the same bits
/// on any number of ranks; float values are widened to double, which is exact.
struct StepRecord {
  std::int64_t step = 0;            ///< finished steps, this one included: the first line says 1
  double energy_difference = 0;     ///< (mean U(data) - mean U(chains)) / T: the loss of the energy
  double gradient_magnitude = 0;    ///< mean of (eta^2 / 2) ||grad E||_2 over samples and Langevin steps
  double learning_rate = 0;         ///< of the energy
  std::optional<double> generator_loss;  ///< squared distance of chains and generator, summed over pixels
  std::optional<double> bank_mean_age;   ///< mean rounds since rejuvenation, over the whole bank
  double image_steps_per_second = 0;     ///< all ranks, of the sampling phase
  Spread seconds_sample, seconds_update, seconds_exchange, seconds_checkpoint;
  /// Further numbers under their own names ("energy_data", "rejuvenated", ...), in this order, after those above.
  std::vector<std::pair<std::string, double>> more;
};

/// The shortest decimal digits that read back to the same double, always with a point or exponent, so that readers
/// take them for a real number (and keep the sign of -0.0). "null" for what is not finite: JSON has no word for it.
std::string json_number(double value);

/// The record as one JSON object without a line end. Keys in the order of the struct.
std::string to_json_line(const StepRecord& record);

/// Appends records to a metrics.jsonl. Used by rank 0 alone.
class MetricsWriter {
 public:
  /// Opens `path` for appending; it is made if it is missing. Throws Error(storage).
  explicit MetricsWriter(std::filesystem::path path);
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;
  ~MetricsWriter();

  /// One line, handed to the operating system before the call returns, so that a killed program loses none.
  /// Throws Error(storage) on a full disk; then the file ends with the last whole line.
  void append(const StepRecord& record);
  /// Waits until all lines are on the disk. Called before a checkpoint becomes visible: a resume keeps the lines up to
  /// the checkpoint's step, so they must not be less durable than it.
  void sync();

  /// What truncate_after found.
  struct Truncation {
    std::int64_t kept = 0;     ///< lines that stay
    std::int64_t dropped = 0;  ///< lines of later steps, and a half-written last one
  };
  /// Drops all lines after `step` and a half-written last line: what a resume from the checkpoint of `step` does
  /// first. The file is replaced by rename, or left alone where nothing is dropped; a missing one is no error.
  /// Throws Error(storage) where a line among those to keep is damaged (naming it), or on a full disk.
  static Truncation truncate_after(const std::filesystem::path& path, std::int64_t step);

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace langrun::launch
