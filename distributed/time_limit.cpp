#include "distributed/time_limit.h"

#include <chrono>

#include "distributed/waiting.h"

namespace langrun {
namespace {

// Between two looks at the clock, so that what a suspended job sleeps does not count.
constexpr std::chrono::milliseconds kLook{500};

}  // namespace

TimeLimit::TimeLimit(double seconds, std::function<void()> late)
    : thread_([this, seconds, late = std::move(late)] {
        std::unique_lock lock(mutex_);
        Waiting waiting;
        while (!wake_.wait_for(lock, kLook, [this] { return ended_; }))
          if (waiting.seconds() >= seconds) return late();
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
