#include "jobs/judge_calls.h"

#include <algorithm>

#include "core/torch.h"

namespace langrun {

at::Tensor JudgeCalls::logits(const std::vector<at::Tensor>& images, const std::vector<bool>& keep) {
  forget();
  auto out = torch::empty({static_cast<std::int64_t>(images.size()), net_.facts().classes});
  const auto size = static_cast<std::size_t>(net_.call());
  // Those that may be asked for a gradient apart, so that a graph is kept for no others.
  for (const bool kept : {true, false}) {
    std::vector<std::size_t> numbers;
    for (std::size_t i = 0; i < images.size(); ++i) {
      if (keep[i] == kept) numbers.push_back(i);
      if (numbers.size() == size || (i + 1 == images.size() && !numbers.empty())) {
        add_call(images, std::move(numbers), kept, out);
        numbers.clear();
      }
    }
  }
  return out;
}

void JudgeCalls::add_call(const std::vector<at::Tensor>& images, std::vector<std::size_t> numbers, bool keep,
                          at::Tensor& out) {
  std::vector<at::Tensor> rows;
  // Places that nobody takes hold the first image again.
  for (std::int64_t b = 0; b < net_.call(); ++b)
    rows.push_back(images[numbers[b < static_cast<std::int64_t>(numbers.size()) ? static_cast<std::size_t>(b) : 0]]);
  Call call{std::move(numbers), torch::cat(rows).contiguous(at::MemoryFormat::ChannelsLast), {}};
  const bool graph = keep && graphs_ < kGraphs;
  {
    const at::AutoGradMode grad(graph);
    call.x.requires_grad_(graph);
    call.logits = net_.logits(call.x);
  }
  ++calls_;
  const auto host = call.logits.detach().cpu();
  for (std::size_t b = 0; b < call.images.size(); ++b)
    out[static_cast<std::int64_t>(call.images[b])].copy_(host[static_cast<std::int64_t>(b)]);
  if (!keep) return;
  if (graph) ++graphs_;
  kept_.push_back(std::move(call));
}

std::vector<at::Tensor> JudgeCalls::gradients(const std::vector<Wanted>& wanted) {
  std::vector<at::Tensor> found(wanted.size());
  for (auto& call : kept_) {
    auto cotangents = torch::zeros({net_.call(), net_.facts().classes});
    std::vector<std::pair<std::size_t, std::int64_t>> places;  // of `wanted`, in the call
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const auto at = std::find(call.images.begin(), call.images.end(), wanted[i].image);
      if (at == call.images.end()) continue;
      places.emplace_back(i, at - call.images.begin());
      cotangents[places.back().second].copy_(wanted[i].cotangent);
    }
    if (places.empty()) continue;
    const at::AutoGradMode grad(true);
    if (!call.logits.requires_grad()) {
      call.x = call.x.detach().requires_grad_();
      call.logits = net_.logits(call.x);
      ++calls_;
    }
    const auto gradient = torch::autograd::grad({call.logits}, {call.x}, {cotangents.to(call.x.device())})[0];
    ++backward_calls_;
    for (const auto& [i, place] : places)
      found[i] = gradient.narrow(0, place, 1).clone(at::MemoryFormat::ChannelsLast);
    call.logits = call.logits.detach();  // the graph is used up
  }
  return found;
}

void JudgeCalls::forget() {
  kept_.clear();
  graphs_ = 0;
}

}  // namespace langrun
