#include "jobs/feature_rounds.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/torch.h"

namespace langrun {

void gather_features(Communicator& world, FeatureExtractor& net, const ScoreImages& images, std::int64_t block,
                     const FeatureSink& sink, const ImagesDone& done) {
  const Blocks blocks{images.count(), block};
  const auto length = net.facts().length;
  std::vector<float> own(static_cast<std::size_t>(block * length));
  std::vector<float> all(own.size() * static_cast<std::size_t>(world.size()));
  for (std::int64_t first = 0; first < blocks.blocks(); first += world.size()) {
    world.enter(fmt::format("features of blocks from {} of {}", first + 1, blocks.blocks()));
    const auto mine = first + world.rank();
    if (blocks.rows(mine) > 0) {
      const auto features = net.features(images.read(mine * block, blocks.rows(mine), block));
      std::copy_n(features.const_data_ptr<float>(), own.size(), own.data());
    }
    world.gather_blocks("score features", own, all);
    // By block number, whichever rank it came from: the sums' bits depend on their order.
    for (std::int64_t r = 0; r < world.size() && blocks.rows(first + r) > 0; ++r) {
      const auto rows = blocks.rows(first + r);
      sink(torch::from_blob(all.data() + static_cast<std::size_t>(r) * own.size(), {rows, length}));
      done(rows);
    }
  }
}

}  // namespace langrun
