#include <ATen/record_function.h>

#include <cstring>

#include "core/networks/energy.h"
#include "core/torch.h"
#include "jobs/bench.h"

namespace langrun {
namespace {

/// Where the callback counts: it has to be a plain function.
thread_local double counted = 0;

/// What is known of a call before it runs: its inputs are gone when it ends.
struct Depth : at::ObserverContext {
  double products = 0;  ///< for one number of its result
};

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& call) {
  const bool product = std::strcmp(call.name(), "aten::bmm") == 0 || std::strcmp(call.name(), "aten::mm") == 0;
  auto depth = std::make_unique<Depth>();
  if (product || std::strcmp(call.name(), "aten::convolution") == 0) {
    // A matrix product sums over the right matrix's rows, a convolution over in * k * k: its weight's part for a
    // result.
    const auto& right = call.inputs()[1].toTensor();
    depth->products =
        static_cast<double>(product ? right.size(-2) : right.numel() / std::max<std::int64_t>(right.size(0), 1));
  }
  return depth;
}

void end(const at::RecordFunction& call, at::ObserverContext* context) {
  const double products = static_cast<const Depth*>(context)->products;
  if (products > 0) counted += products * static_cast<double>(call.outputs().at(0).toTensor().numel());
}

}  // namespace

double multiply_adds(Energy& energy) {
  const torch::NoGradGuard constant;
  const auto shape = energy.input();
  const auto image = at::zeros({1, shape.channels, shape.height, shape.width});
  counted = 0;
  const auto handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(begin, end).needsInputs(true).needsOutputs(true));
  energy.energy(image);
  at::removeCallback(handle);
  return counted;
}

BenchCase matrix_product(const std::string& precision) {
  constexpr std::int64_t kSide = 1024;
  const auto type = precision == "bf16" ? at::kBFloat16 : at::kFloat;
  const auto a = at::randn({kSide, kSide}).to(type), b = at::randn({kSide, kSide}).to(type);
  auto c = at::empty({kSide, kSide}, a.options());
  return {"PyTorch's matrix product, " + precision, 2e-9 * kSide * kSide * kSide,
          [a, b, c]() mutable { at::mm_out(c, a, b); }};
}

}  // namespace langrun
