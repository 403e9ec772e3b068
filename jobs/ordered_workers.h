// Work spread over threads that comes back in the order in which it was handed in.
#pragma once

#include <fmt/format.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"

namespace langrun {

/// One thread calls `read` for the next piece, `threads` threads call `work` on pieces, and next() hands out the
/// results in the order of reading: what comes out does not depend on the threads. At most `most` pieces are between
/// reading and next(), which bounds the memory. An error of `read` or `work` is thrown by next() in its piece's place.
template <class Piece, class Result>
class OrderedWorkers {
 public:
  /// Throws Error(usage) where so many threads cannot be started. `read` gives nothing at the end. `work` runs on
  /// several threads at once and is told which of them it is on.
  OrderedWorkers(int threads, std::size_t most, std::function<std::optional<Piece>()> read,
                 std::function<Result(int thread, Piece&&)> work)
      : most_(most), read_(std::move(read)), work_(std::move(work)) {
    try {
      threads_.emplace_back([this] { run_reader(); });
      for (int t = 0; t < threads; ++t) threads_.emplace_back([this, t] { run_worker(t); });
    } catch (const std::system_error&) {
      const auto started = threads_.size();
      end_threads();
      throw Error(ExitCode::usage, fmt::format("only {} of {} threads can be started here", started, threads + 1),
                  "use fewer --threads, or raise the limit on processes (ulimit -u)");
    }
  }
  /// Ends the threads; pieces being worked on are finished first.
  ~OrderedWorkers() { end_threads(); }
  OrderedWorkers(const OrderedWorkers&) = delete;
  OrderedWorkers& operator=(const OrderedWorkers&) = delete;

  /// The next result; nothing at the end. Called by one thread.
  std::optional<Result> next() {
    std::unique_lock lock(mutex_);
    results_.wait(lock, [this] { return slots_.empty() ? ended_ : slots_.front().done; });
    if (slots_.empty()) return std::nullopt;
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    ++first_;
    lock.unlock();
    room_.notify_one();
    if (slot.failure) std::rethrow_exception(slot.failure);
    return std::move(slot.result);
  }

 private:
  void end_threads() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_all();
    pieces_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  struct Slot {
    std::optional<Piece> piece;  ///< until a thread takes it
    std::optional<Result> result;
    std::exception_ptr failure;
    bool done = false;
  };

  void run_reader() {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] { return stop_ || slots_.size() < most_; });
        if (stop_) return;
      }
      Slot slot;
      try {
        slot.piece = read_();
      } catch (...) {
        slot.failure = std::current_exception();
      }
      const bool end = !slot.piece;
      {
        const std::lock_guard lock(mutex_);
        slot.done = slot.failure != nullptr;
        if (!end || slot.done) slots_.push_back(std::move(slot));
        ended_ = end;
      }
      if (end) {
        results_.notify_all();
        pieces_.notify_all();
        return;
      }
      pieces_.notify_one();
    }
  }

  void run_worker(int thread) {
    std::unique_lock lock(mutex_);
    for (;;) {
      pieces_.wait(lock, [this] { return stop_ || ended_ || taken_ < first_ + slots_.size(); });
      if (stop_) return;
      if (taken_ == first_ + slots_.size()) return;
      const auto number = taken_++;
      // A read that failed stands in the row as well, last and without a piece.
      if (number < first_ || !at(number).piece) continue;
      auto piece = std::move(*at(number).piece);
      lock.unlock();
      std::optional<Result> result;
      std::exception_ptr failure;
      try {
        result = work_(thread, std::move(piece));
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      auto& slot = at(number);
      slot.result = std::move(result);
      slot.failure = failure;
      slot.done = true;
      if (number == first_) results_.notify_one();
    }
  }

  /// Slots keep their numbers while others leave in front of them. Called under the lock.
  Slot& at(std::uint64_t number) { return slots_[static_cast<std::size_t>(number - first_)]; }

  const std::size_t most_;
  std::function<std::optional<Piece>()> read_;
  std::function<Result(int, Piece&&)> work_;
  std::mutex mutex_;
  std::condition_variable room_, pieces_, results_;
  std::deque<Slot> slots_;
  std::uint64_t first_ = 0;  ///< number of the slot in front
  std::uint64_t taken_ = 0;  ///< pieces that threads have taken
  bool stop_ = false, ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace langrun
