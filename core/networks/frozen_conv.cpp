#include "core/networks/frozen_conv.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include "core/torch.h"

#ifdef LANGRUN_HAVE_CUDA
#include <c10/cuda/CUDAStream.h>

#include "core/networks/activation_cuda.h"
#endif

namespace langrun {
namespace {

constexpr const char* kForward = "mkldnn::_convolution_pointwise";
constexpr const char* kTranspose = "mkldnn::_convolution_transpose_pointwise";
constexpr const char* kPack = "mkldnn::_reorder_convolution_weight";
constexpr const char* kPackTranspose = "mkldnn::_reorder_convolution_transpose_weight";

using Values = std::vector<c10::IValue>;
using Sizes = std::vector<std::int64_t>;
using Scalars = c10::List<std::optional<at::Scalar>>;

/// torch keeps these operators for its compiler: they are registered, but have no declaration in a header.
at::Tensor call(const char* name, Values stack) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(stack);
  return std::move(stack.front()).toTensor();
}

bool registered(const char* name) { return c10::Dispatcher::singleton().findSchema({name, ""}).has_value(); }

bool packable(const at::Tensor& x) {
  static const bool known = at::globalContext().hasMKLDNN() && registered(kForward) && registered(kTranspose) &&
                            registered(kPack) && registered(kPackTranspose);
  return known && x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

#ifdef LANGRUN_HAVE_CUDA
/// y [B, C, H, W] channels-last, in place.
void bias_and_bend(at::Tensor& y, const at::Tensor& bias, double slope) {
  auto* const stream = c10::cuda::getCurrentCUDAStream(y.device().index()).stream();
  const auto bend = static_cast<float>(slope);
  if (y.scalar_type() == at::kFloat)
    add_bias_and_bend(y.mutable_data_ptr<float>(), bias.const_data_ptr<float>(), y.numel(), y.size(1), bend, stream);
  else
    add_bias_and_bend(static_cast<std::uint16_t*>(y.mutable_data_ptr()),
                      static_cast<const std::uint16_t*>(bias.const_data_ptr()), y.numel(), y.size(1), bend, stream);
}
#endif

c10::IValue optional_tensor(const at::Tensor& tensor) { return tensor.defined() ? c10::IValue(tensor) : c10::IValue(); }

}  // namespace

void FrozenConv::set(const at::Tensor& weight, const at::Tensor& bias) {
  // A copy of its own: the source goes on learning. Channels-last is what convolution_backward wants besides.
  keep_copy(weight_, weight);
  if (bias.defined())
    keep_copy(bias_, bias);
  else
    bias_.reset();
  packed_for_.clear();
}

void FrozenConv::pack(at::IntArrayRef input, at::IntArrayRef output) {
  if (input.equals(packed_for_)) return;
  const Sizes padding{padding_, padding_}, stride{stride_, stride_}, ones{1, 1}, zeros{0, 0};
  packed_ = call(kPack, {weight_, padding, stride, ones, std::int64_t{1}, input});
  packed_transpose_ = call(kPackTranspose, {weight_, padding, zeros, stride, ones, std::int64_t{1}, output});
  packed_for_ = input.vec();
}

at::Tensor FrozenConv::forward(const at::Tensor& x, Activation activation) {
  if (!packable(x)) return plain_forward(x, activation);
  const auto side = [&](std::int64_t n) { return (n + 2 * padding_ - weight_.size(2)) / stride_ + 1; };
  pack(x.sizes(), {x.size(0), weight_.size(0), side(x.size(2)), side(x.size(3))});
  Scalars scalars;
  std::string name = activation.active ? "relu" : "none";
  if (activation.active && activation.slope != 0) {
    name = "leaky_relu";
    scalars.push_back(at::Scalar(activation.slope));
  }
  const Sizes padding{padding_, padding_}, stride{stride_, stride_}, ones{1, 1};
  return call(kForward, {x, packed_, optional_tensor(bias_), padding, stride, ones, std::int64_t{1}, name,
                         std::move(scalars), std::string()});
}

at::Tensor FrozenConv::input_gradient(const at::Tensor& gradient, const at::Tensor& input) {
  const Sizes padding{padding_, padding_}, stride{stride_, stride_}, ones{1, 1}, zeros{0, 0};
  // The transposed call leaves out what a strided convolution did not reach, so it must have reached everything.
  const bool covered = (input.size(2) + 2 * padding_ - weight_.size(2)) % stride_ == 0;
  if (!packable(gradient) || !covered || !input.sizes().equals(packed_for_))
    return std::get<0>(at::convolution_backward(gradient, input, weight_, std::nullopt, stride, padding, ones,
                                                /*transposed=*/false, zeros, 1, {true, false, false}));
  return call(kTranspose, {gradient, packed_transpose_, c10::IValue(), padding, zeros, stride, ones, std::int64_t{1},
                           std::string("none"), Scalars(), std::string()});
}

at::Tensor FrozenConv::plain_forward(const at::Tensor& x, Activation activation) const {
#ifdef LANGRUN_HAVE_CUDA
  if (x.is_cuda() && bias_.defined()) {
    auto y = at::conv2d(x, weight_, {}, stride_, padding_).contiguous(at::MemoryFormat::ChannelsLast);
    bias_and_bend(y, bias_, activation.active ? activation.slope : 1);
    return y;
  }
#endif
  auto y = at::conv2d(x, weight_, bias_, stride_, padding_);
  return activation.active ? at::leaky_relu_(y, activation.slope) : y;
}

void FrozenFirstConv::set(const at::Tensor& weight, const at::Tensor& bias) {
  conv_.set(weight, bias);
  const auto out = weight.size(0), in = weight.size(1);
  const auto turned = weight.detach().permute({1, 0, 2, 3}).flip({2, 3});
  // Pixel (row, column) of the four sees the gradient's 4x4 window from there on.
  auto kernel = at::zeros({in, 2, 2, out, 4, 4}, weight.options());
  for (int row = 0; row < 2; ++row)
    for (int column = 0; column < 2; ++column)
      kernel.select(1, row).select(1, column).narrow(2, row, 3).narrow(3, column, 3).copy_(turned);
  gradient_.set(kernel.view({in * 4, out, 4, 4}), {});
}

at::Tensor FrozenFirstConv::input_gradient(const at::Tensor& gradient) {
  return at::pixel_shuffle(gradient_.forward(gradient, {}), 2);
}

void keep_copy(at::Tensor& to, const at::Tensor& from) {
  if (to.defined() && to.sizes().equals(from.sizes()) && to.scalar_type() == from.scalar_type() &&
      to.device() == from.device()) {
    to.copy_(from.detach());
    return;
  }
  to = from.detach().clone(from.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

at::Tensor& mask_gradient(at::Tensor& gradient, const at::Tensor& result, double slope) {
  if (slope == 0) return at::threshold_backward_out(gradient, gradient, result, 0);
  return at::leaky_relu_backward_out(gradient, gradient, result, slope, /*self_is_result=*/true);
}

}  // namespace langrun
