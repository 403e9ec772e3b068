#include "tests/standin/host_stream.h"

#include <algorithm>
#include <utility>

namespace langrun {

HostStream::HostStream() : thread_([this] { work(); }) {}

HostStream::~HostStream() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void HostStream::enqueue(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  ++enqueued_;
  changed_.notify_all();
}

bool HostStream::drain(std::chrono::seconds limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this, wanted = enqueued_] { return done_ >= wanted; });
}

void HostStream::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // what it holds goes before it counts as done
    lock.lock();
    ++done_;
    changed_.notify_all();
  }
}

void HostEvent::record(HostStream& stream) {
  const std::lock_guard lock(state_->mutex);
  state_->asked = 0;
  stream.enqueue([state = state_, number = ++state_->recorded] {
    const std::lock_guard inner(state->mutex);
    state->reached = std::max(state->reached, number);
    state->changed.notify_all();
  });
}

bool HostEvent::query() {
  const std::lock_guard lock(state_->mutex);
  if (state_->recorded == 0) return true;
  return state_->asked++ > 0 && state_->reached >= state_->recorded;
}

void HostEvent::hold(HostStream& stream) {
  const std::lock_guard lock(state_->mutex);
  stream.enqueue([state = state_, number = state_->recorded] {
    std::unique_lock inner(state->mutex);
    state->changed.wait(inner, [&] { return state->reached >= number; });
  });
}

}  // namespace langrun
