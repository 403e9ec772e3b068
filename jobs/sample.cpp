#include "jobs/sample.h"

#include <fmt/format.h>

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
    world.enter(fmt::format("chains of calls from {} of {}", first + 1, blocks->blocks()));
    at::Tensor images = torch::empty({0}, torch::kUInt8);
    std::optional<ChainBlock> block;  // none on ranks that are left over
    agree(world, "begin chains", [&] {
      if (first + world.rank() < blocks->blocks()) block = blocks->begin(first + world.rank());
    });
    // Piece by piece, so that no rank waits for a whole walk: the watchdog would take the others for lost.
    for (std::int64_t step = 0; step < config.langevin.steps; step += ChainBlocks::kPiece)
      agree(world, "sample", [&] {
        if (block) blocks->advance(*block, config.langevin.steps);
      });
    if (block) images = ChainBlocks::as_bytes(blocks->shown(*block));
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
