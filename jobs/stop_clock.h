// When a start stops by itself: after some time, or early enough before the job is ended from outside.
#pragma once

#include <algorithm>
#include <chrono>

namespace langrun {

class StopClock {
 public:
  /// `after`: seconds from now; `deadline`: seconds since 1970 at which a scheduler ends the job. 0: never.
  StopClock(double after, double deadline) : after_(after), deadline_(deadline) {}

  /// What a stop may still have to wait for: the step under way, say. The longest counts.
  void saw_step(double seconds) { step_ = std::max(step_, seconds); }
  /// What saving the state took.
  void saw_save(double seconds) {
    save_ = std::max(save_, seconds);
    saw_save_ = true;
  }
  /// Before a deadline and as long as no save was seen: how early it has to ask is not known before the first one, so
  /// that is best made at once. The same on ranks that have seen the same saves.
  bool wants_a_save() const { return deadline_ > 0 && !saw_save_; }

  /// True once it is time: `after` has passed, or before the deadline no more is left than twice a step and twice a
  /// save, of the longest seen, and `kLeast`. Twice, since both can be slower the next time.
  bool asks() const { return asks(seconds_since_1970()); }
  bool asks(double now) const {
    if (after_ > 0 && std::chrono::duration<double>(Clock::now() - begun_).count() >= after_) return true;
    return deadline_ > 0 && now + needed() >= deadline_;
  }
  /// Seconds before the deadline at which it asks.
  double needed() const { return kLeast + 2 * (step_ + save_); }

  static constexpr double kLeast = 15;

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds_since_1970() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }

  double after_, deadline_, step_ = 0, save_ = 0;
  bool saw_save_ = false;
  Clock::time_point begun_ = Clock::now();
};

}  // namespace langrun
