// A limit on calls that nobody can give up, such as those that start MPI.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace langrun {

/// Calls `late` from a thread of its own if it lives longer than `seconds`; time in which the process was suspended does
/// not count. It looks twice a second. `late` is to end the program: the call that hangs will not come back.
class TimeLimit {
 public:
  TimeLimit(double seconds, std::function<void()> late);
  ~TimeLimit();
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace langrun
