#include "distributed/time_limit.h"

#include <chrono>

namespace langrun {

TimeLimit::TimeLimit(double seconds, std::function<void()> late)
    : thread_([this, seconds, late = std::move(late)] {
        std::unique_lock lock(mutex_);
        if (!wake_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return ended_; })) late();
      }) {}

TimeLimit::~TimeLimit() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

}  // namespace langrun
