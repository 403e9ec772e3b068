// How long a rank has waited, by a clock that does not count what a suspended job slept, and how it waits.
#pragma once

#include <sched.h>

#include <chrono>
#include <thread>

namespace langrun {

/// Longer between two looks at a clock that is looked at often, and the whole process was suspended meanwhile.
constexpr double kSuspendedSeconds = 3;

/// Who has waited that long waits for more than an exchange: for a checkpoint, a picture, a rank that starts later.
constexpr double kLongSeconds = 0.02;

/// Begins when it is made. To be asked far more often than every kSuspendedSeconds: a longer gap counts as sleep.
class Waiting {
 public:
  /// Seconds waited, without those in which the process was suspended.
  double seconds() {
    const auto now = Clock::now();
    if (std::chrono::duration<double>(now - asked_).count() > kSuspendedSeconds) start_ += now - asked_;
    asked_ = now;
    return std::chrono::duration<double>(now - start_).count();
  }

  /// Between two polls: lets others run, and leaves them the core where the wait is a long one. Where ranks or jobs
  /// share cores, one that polls takes its share from those it waits for; a tenth of a millisecond more is not seen
  /// after kLongSeconds.
  void give_way() {
    if (seconds() < kLongSeconds)
      sched_yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now(), asked_ = start_;
};

}  // namespace langrun
