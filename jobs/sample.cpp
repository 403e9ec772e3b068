#include "jobs/sample.h"

#include <optional>

#include "core/torch.h"
#include "distributed/agreement.h"
#include "jobs/chain_blocks.h"

namespace langrun {

void sample_images(const SampleConfig& config, Communicator& world, const SampleSink& sink) {
  std::optional<ChainBlocks> blocks;
  agree(world, "set up", [&] { blocks.emplace(config, world); });
  agree(world, "begin samples", [&] {
    if (world.rank() == 0) sink.begin(blocks->count());
  });
  for (std::int64_t first = 0; first < blocks->blocks(); first += world.size()) {
    at::Tensor images = torch::empty({0}, torch::kUInt8);
    agree(world, "sample", [&] {
      if (first + world.rank() >= blocks->blocks()) return;
      auto block = blocks->begin(first + world.rank());
      while (block.step < config.langevin.steps) blocks->advance(block, config.langevin.steps);
      images = ChainBlocks::as_bytes(block.chains);
    });
    const auto* bytes = reinterpret_cast<const std::byte*>(images.const_data_ptr<std::uint8_t>());
    const auto all = world.gather_all("samples", {bytes, static_cast<std::size_t>(images.numel())});
    agree(world, "keep samples", [&] {
      if (world.rank() != 0) return;
      for (std::size_t r = 0; r < all.size(); ++r) {
        const auto index = (first + static_cast<std::int64_t>(r)) * config.call;
        if (index >= blocks->count()) break;
        const auto* begin = reinterpret_cast<const std::uint8_t*>(all[r].data());
        const auto size = all[r].size() / static_cast<std::size_t>(config.call);
        const auto kept = static_cast<std::size_t>(std::min(config.call, blocks->count() - index));
        sink.add(index, blocks->image(), std::vector<std::uint8_t>(begin, begin + kept * size));
      }
    });
  }
}

}  // namespace langrun
