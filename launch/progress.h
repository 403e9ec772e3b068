// One line that says how a run is getting on.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

#include "launch/metrics.h"

namespace langrun::launch {

/// How the line reaches the reader.
enum class Screen {
  terminal,  ///< one line, rewritten in place
  log,       ///< plain lines, at long intervals: a Slurm log, a pipe, a file
};

/// What `out` is. mpirun gives its ranks a terminal of its own even where its output goes to a file, so under an MPI
/// launcher the launcher's standard output decides.
Screen screen_of(std::FILE* out);

/// 83 to "0:01:23"; above a day "2d 03:04:05". Seconds are rounded down.
std::string clock_text(double seconds);

/// The progress line of a training job. Rank 0 alone makes one and calls it after every step.
class Progress {
 public:
  /// `finished` steps of `total` are done already (on a resume). `clock` gives seconds that only grow; tests hand in
  /// their own.
  Progress(std::FILE* out, Screen screen, std::int64_t finished, std::int64_t total,
           std::function<double()> clock = steady_seconds);

  /// Takes in a finished step and writes the line when it is due. On a terminal at most ten times a second; in a log
  /// every 10 s (every 60 s in runs of hours) and every twentieth of the run. The first and the last step always.
  void update(const StepRecord& record);
  /// A line of its own above the progress line: "checkpoint 00001000 written".
  void note(const std::string& text);
  /// The last line as it stands, ended; called once after the last step, also of a stopped run.
  void finish();

  static double steady_seconds();

 private:
  bool due(std::int64_t step, double now) const;
  std::string line(double now) const;
  void show(double now);

  std::FILE* out_;
  Screen screen_;
  std::int64_t first_, total_;
  std::function<double()> clock_;
  double start_, step_time_;     // seconds on clock_: of the constructor, of the latest step
  double seconds_per_step_ = 0;  // smoothed over about the last 50 steps
  StepRecord latest_;
  std::int64_t shown_step_ = -1;  // step of the line last written
  double shown_time_ = 0;
  bool open_ = false;  // the terminal's cursor stands behind a line without an end
};

}  // namespace langrun::launch
