// Between an image's evaluation, written as one coroutine, and the engine that computes what it asks for.
//
// GCC 12 mixes up temporaries of an expression that holds a co_await: each one is a statement of its own, and what it
// awaits is a named variable.
#pragma once

#include <ATen/core/TensorBody.h>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

#include "jobs/chain_identity.h"

namespace langrun {

/// A set of replicates to compute: each a chain of K steps from `image` and the classifier behind it.
struct StageRequest {
  StageIdentity identity;
  at::Tensor image;  ///< [C, H, W] float32
  std::int64_t replicates = 1;
  bool bare = false;      ///< no chain: the classifier at the image itself, once
  bool gradient = false;  ///< a gradient may be asked for next
  bool pathwise = false;  ///< and it is to go back through the chain
  bool pictured = false;  ///< the first replicate's end is wanted
};

struct StageResult {
  at::Tensor logits;        ///< [H, classes] float32
  at::Tensor first_energy;  ///< [H] float32, U at the start of the first step; NaN without one
  at::Tensor last_energy;   ///< [H] float32, U at the start of the last step; NaN without one
  at::Tensor purified;      ///< [C, H, W] the first replicate's end, where it was wanted
};

/// What an image waits for. The engine fills in the answer and calls resume().
class StageChannel {
 public:
  /// The replicates' logits: `const StageResult result = co_await channel.stage(request);`
  struct StageWait {
    StageChannel& channel;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) { channel.waiting_ = waiting; }
    StageResult await_resume() { return std::move(channel.result_); }
  };
  StageWait stage(const StageRequest& request) {
    request_ = request;
    cotangents_.reset();
    return {*this};
  }

  /// Gradients in the image of sum_h cotangents_h . logits_h, one for each replicate [H, C, H, W]: of the stage before,
  /// which said `gradient`.
  struct GradientWait {
    StageChannel& channel;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) { channel.waiting_ = waiting; }
    at::Tensor await_resume() { return std::move(channel.gradients_); }
  };
  GradientWait gradients(const at::Tensor& cotangents) {
    cotangents_ = cotangents;
    return {*this};
  }

  // The engine's side.
  const StageRequest& request() const { return request_; }
  /// Where set, [H, classes]: gradients are wanted.
  const std::optional<at::Tensor>& cotangents() const { return cotangents_; }
  void answer(StageResult result) { result_ = std::move(result); }
  void answer_gradients(at::Tensor gradients) { gradients_ = std::move(gradients); }
  void resume() { waiting_.resume(); }

 private:
  StageRequest request_;
  std::optional<at::Tensor> cotangents_;
  StageResult result_;
  at::Tensor gradients_;
  std::coroutine_handle<> waiting_;
};

/// A coroutine that starts when it is awaited, or by start() where nothing awaits it.
class StageTask {
 public:
  struct promise_type {
    std::coroutine_handle<> parent = std::noop_coroutine();
    std::exception_ptr failure;

    StageTask get_return_object() { return StageTask(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct Back {
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
          return self.promise().parent;
        }
        void await_resume() const noexcept {}
      };
      return Back{};
    }
    void return_void() const noexcept {}
    void unhandled_exception() { failure = std::current_exception(); }
  };

  explicit StageTask(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  StageTask(StageTask&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  StageTask& operator=(StageTask&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~StageTask() {
    if (handle_) handle_.destroy();
  }

  void start() { handle_.resume(); }
  bool done() const { return handle_.done(); }
  /// Throws what the coroutine threw.
  void check() const {
    if (handle_.promise().failure) std::rethrow_exception(handle_.promise().failure);
  }

  bool await_ready() const { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) {
    handle_.promise().parent = parent;
    return handle_;
  }
  void await_resume() const { check(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace langrun
