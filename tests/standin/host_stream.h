// A test part: streams and events over a thread of the host.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace langrun {

/// Runs what is enqueued in order, on a thread of its own, never within the call.
class HostStream {
 public:
  HostStream();
  /// Waits until all that was enqueued is done.
  ~HostStream();
  void enqueue(std::function<void()> task);
  /// Returns once all that was enqueued before is done, or `limit` has passed: whether it is done.
  bool drain(std::chrono::seconds limit);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::uint64_t enqueued_ = 0, done_ = 0;
  bool closing_ = false;
  std::thread thread_;
};

/// A mark on a stream. Recording it anew forgets what it marked before.
class HostEvent {
 public:
  void record(HostStream& stream);
  /// True once what was on the stream at the last `record` is done. The first answer after a `record` is always false:
  /// who takes a copy, a sum or a collective for done at once must be found out on any machine.
  bool query();
  /// Lets `stream` wait for the last `record`. An event that was never recorded holds nothing up.
  void hold(HostStream& stream);

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t recorded = 0, reached = 0, asked = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();  // outlives the event while a stream still comes to it
};

}  // namespace langrun
