// Many images before one classifier: calls of its shape, and their gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "jobs/judge_net.h"

namespace langrun {

class JudgeCalls {
 public:
  explicit JudgeCalls(JudgeNet& net) : net_(net) {}

  /// Images [1, C, H, W], any number, to logits [n, classes] float32 in host memory. Those with `keep` may be asked for
  /// their gradients until the next call.
  at::Tensor logits(const std::vector<at::Tensor>& images, const std::vector<bool>& keep);

  /// Wanted of the images of the last logits(): by its number there.
  struct Wanted {
    std::size_t image = 0;
    at::Tensor cotangent;  ///< [classes] float32
  };
  /// d (cotangent . logits) / d image of each, [1, C, H, W] channels-last.
  std::vector<at::Tensor> gradients(const std::vector<Wanted>& wanted);
  void forget();

  std::uint64_t calls() const { return calls_; }
  std::uint64_t backward_calls() const { return backward_calls_; }

 private:
  struct Call {
    std::vector<std::size_t> images;  ///< numbers, by place
    at::Tensor x, logits;             ///< with their graph, where it is kept
  };
  void add_call(const std::vector<at::Tensor>& images, std::vector<std::size_t> numbers, bool keep, at::Tensor& out);

  /// Graphs that are kept; of further calls the way forward is made again, in the same shape and so with the same bits.
  static constexpr std::size_t kGraphs = 4;

  JudgeNet& net_;
  std::vector<Call> kept_;
  std::size_t graphs_ = 0;
  std::uint64_t calls_ = 0, backward_calls_ = 0;
};

}  // namespace langrun
