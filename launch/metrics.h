// metrics.jsonl: what every step measured, one JSON object a line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "data/generation_folder.h"
#include "jobs/step_record.h"

namespace langrun::launch {

/// The shortest decimal digits that read back to the same double, always with a point or exponent, so that readers
/// take them for a real number (and keep the sign of -0.0). "null" for what is not finite: JSON has no word for it.
std::string json_number(double value);

/// The record as one JSON object without a line end. Keys in the order of the struct; arrays as JSON arrays.
std::string to_json_line(const StepRecord& record);

/// Appends records to a metrics.jsonl. Used by rank 0 alone.
class MetricsWriter {
 public:
  /// Whether the run is still this start's: no newer start has taken it over.
  using Ours = std::function<bool()>;

  /// Opens `path` for appending; it is made if it is missing. Throws Error(storage), also where the run is not ours any
  /// more once the file is open: then it may be a newer start's. Without `ours` it always is.
  explicit MetricsWriter(std::filesystem::path path, Ours ours = {});
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;
  ~MetricsWriter();

  /// One line, handed to the operating system before the call returns, so that a killed program loses none.
  /// Throws Error(storage) on a full disk; then the file ends with the last whole line.
  void append(const StepRecord& record);
  /// Waits until all lines are on the disk. Called before a checkpoint becomes visible: a resume keeps the lines up to
  /// the checkpoint's step, so they must not be less durable than it. Where an older start has put another file in the
  /// place of this one (it was cut off between its last look and that), or somebody has removed it, the lines of this
  /// start are put back, all of them.
  void sync();

  /// What truncate_after found.
  struct Truncation {
    std::int64_t kept = 0;     ///< lines that stay
    std::int64_t dropped = 0;  ///< lines of later steps, and a half-written last one
    std::string missing;       ///< "steps 20 to 35 are missing": up to the step, behind the first line; empty: none is
  };
  /// What truncate_after would find, which it throws too; touches nothing.
  static Truncation look(const std::filesystem::path& path, std::int64_t step);
  /// Drops all lines after `step` and a half-written last line: what a resume from the checkpoint of `step` does
  /// first. The file is replaced by rename even where nothing is dropped, so that an older start that is still alive
  /// writes into one that nobody reads; a missing file is no error.
  /// Throws Error(storage) where a line among those to keep is damaged (naming it), on a full disk, or where the run is
  /// not ours any more; then nothing is replaced.
  /// With `home`, this start's own folder, the new file is made there (publish_from); without, beside `path`.
  static Truncation truncate_after(const std::filesystem::path& path, std::int64_t step,
                                   const std::optional<GenerationFolder>& home = {});
  /// The same, but the lines that go are kept in the file `aside`, durably, which replaces one of that name: a run that
  /// was cut off in a rollback comes to the same lines again.
  static Truncation move_after(const std::filesystem::path& path, std::int64_t step, const std::filesystem::path& aside,
                               const GenerationFolder& home);

 private:
  bool in_its_place() const;
  void put_back();

  std::filesystem::path path_;
  Ours ours_;
  int file_ = -1;
};

}  // namespace langrun::launch
