#include <fmt/format.h>

#include "core/error.h"
#include "core/networks/energies.h"
#include "core/torch.h"

namespace langrun {
namespace {

/// The blocks of networks.md at base width n.
std::vector<ResBlockShape> block_shapes(std::int64_t size, std::int64_t n) {
  if (size == 32) return {{3, n, true, true}, {n, n, true}, {n, n}, {n, n}};
  std::vector<ResBlockShape> shapes = {
      {3, n / 16, true, true}, {n / 16, n / 8, true}, {n / 8, n / 4, true}, {n / 4, n / 2, true}, {n / 2, n, true}};
  if (size == 128) shapes.push_back({n, n});
  return shapes;
}

}  // namespace

SnganEnergy::SnganEnergy(std::int64_t size, std::vector<ResBlockShape> shapes) : size_(size) {
  blocks_.push_back(register_module("stem", std::make_shared<ResBlock>(shapes.front())));
  auto rest = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (std::size_t i = 1; i < shapes.size(); ++i)
    blocks_.push_back(rest->register_module(std::to_string(i - 1), std::make_shared<ResBlock>(shapes[i])));
  linear_ = register_module("linear", std::make_shared<Linear>(shapes.back().out, 1, /*with_bias=*/false));
}

at::Tensor SnganEnergy::energy_with(const at::Tensor& x, const Activation& activation) {
  check_images(x, input());
  auto h = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& block : blocks_) h = block->forward(h, activation);
  return pooled_energy(activation.relu(h), *linear_);
}

std::shared_ptr<SnganEnergy> make_sngan_energy(std::int64_t size, std::int64_t width) {
  const std::int64_t n = width > 0 ? width : (size == 32 ? 256 : 1024);
  if (size != 32 && n % 16 != 0)
    throw Error(ExitCode::usage, fmt::format("sngan{} at width {}: expected a multiple of 16", size, n),
                "its first block has a sixteenth of the width");
  return std::make_shared<SnganEnergy>(size, block_shapes(size, n));
}

}  // namespace langrun
