#include "jobs/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/frechet.h"
#include "core/noise.h"
#include "core/torch.h"
#include "data/image_store.h"
#include "jobs/feature_net.h"

namespace langrun {
namespace {

/// The images of one store that a score takes, by number.
class Pictures {
 public:
  explicit Pictures(const std::string& path) : store_(ImageStore::open(path)) {
    if (store_.shape().channels != 3)
      throw Error(ExitCode::input,
                  fmt::format("{} holds images of {} channel, expected 3", path, store_.shape().channels));
  }
  std::int64_t size() const { return static_cast<std::int64_t>(store_.count()); }
  StoreFacts facts() const { return {store_.path().string(), size(), store_.shape().height, store_.shape().width}; }

  void choose(const ScoreConfig& config, std::int64_t count, std::uint64_t store) {
    chosen_.resize(static_cast<std::size_t>(size()));
    std::iota(chosen_.begin(), chosen_.end(), std::uint64_t{0});
    if (config.choice == "random") shuffle(config, count, store);
    chosen_.resize(static_cast<std::size_t>(count));
    std::sort(chosen_.begin(), chosen_.end());
  }

  /// Images [first, first + count) of those chosen, as [block, 3, H, W] float32 in [-1, 1]; rows from `count` on are
  /// grey.
  at::Tensor read(std::int64_t first, std::int64_t count, std::int64_t block) const {
    const auto shape = store_.shape();
    auto raw = torch::full({block, shape.height, shape.width, 3}, 127, torch::kUInt8);
    const auto wanted = std::span(chosen_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    store_.read(wanted, {raw.mutable_data_ptr<std::uint8_t>(), wanted.size() * store_.image_bytes()});
    return raw.permute({0, 3, 1, 2})
        .to(torch::kFloat32, false, false, at::MemoryFormat::Contiguous)
        .mul_(2.0 / 255)
        .sub_(1);
  }

 private:
  /// The first `count` places of a keyed Fisher-Yates shuffle.
  void shuffle(const ScoreConfig& config, std::int64_t count, std::uint64_t store) {
    const auto key = noise_key(static_cast<std::uint64_t>(config.seed), Stream::sample);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto rest = static_cast<std::uint64_t>(size() - i);
      const auto other =
          static_cast<std::uint64_t>(i) + uniform_integer(key, {store, 0}, static_cast<std::uint32_t>(i), rest);
      std::swap(chosen_[static_cast<std::size_t>(i)], chosen_[other]);
    }
  }

  ImageStore store_;
  std::vector<std::uint64_t> chosen_;
};

/// Features [block, length] of images of any size; those of another size than the network's are resized.
at::Tensor features_of(Classifier& net, at::Tensor images) {
  const auto input = net.input();
  if (images.size(2) != input.height || images.size(3) != input.width)
    images = at::_upsample_bilinear2d_aa(images, {input.height, input.width}, /*align_corners=*/false).clamp_(-1, 1);
  return net.features(images).contiguous();
}

std::int64_t agreed_count(const ScoreConfig& config, const Pictures& a, const Pictures& b, std::int64_t length) {
  const auto most = std::min(a.size(), b.size());
  const auto count = config.count > 0 ? config.count : most;
  const auto& smaller = a.size() <= b.size() ? a : b;
  if (count > most)
    throw Error(ExitCode::usage,
                fmt::format("--count {} given, {} holds {} images", count, smaller.facts().path, most));
  if (count <= length)
    throw Error(ExitCode::usage,
                fmt::format("{} images of each store are too few for features of length {}: at least {} are needed",
                            count, length, length + 1),
                "with fewer the covariance is singular and the distance says nothing; several thousand are usual");
  return count;
}

/// One round: each rank its block of one store, gathered on all.
struct Round {
  Communicator& world;
  const ScoreConfig& config;
  std::int64_t count, length;
  std::vector<float> own, all;

  Round(Communicator& world_, const ScoreConfig& config_, std::int64_t count_, std::int64_t length_)
      : world(world_), config(config_), count(count_), length(length_),
        own(static_cast<std::size_t>(config_.block * length_)),
        all(own.size() * static_cast<std::size_t>(world_.size())) {}

  std::int64_t rows(std::int64_t block) const {
    return std::clamp<std::int64_t>(count - block * config.block, 0, config.block);
  }

  /// Blocks first .. first + ranks - 1. Collective.
  void run(Classifier& net, const Pictures& pictures, std::int64_t first, FeatureStatistics& statistics) {
    const auto mine = first + world.rank();
    if (rows(mine) > 0) {
      const auto features = features_of(net, pictures.read(mine * config.block, rows(mine), config.block));
      std::copy_n(features.data_ptr<float>(), own.size(), own.data());
    }
    world.gather_blocks("score features", own, all);
    if (world.rank() != 0) return;
    // By block number, whichever rank it came from: the sums' bits depend on their order.
    for (std::int64_t r = 0; r < world.size() && rows(first + r) > 0; ++r)
      statistics.add(
          torch::from_blob(all.data() + static_cast<std::size_t>(r) * own.size(), {rows(first + r), length}));
  }
};

}  // namespace

ScoreResult score(const ScoreConfig& config, Communicator& world, const ScoreProgress& progress) {
  const auto start = std::chrono::steady_clock::now();
  at::set_num_threads(static_cast<int>(config.threads));
  const torch::NoGradGuard constant;
  const auto net = load_feature_net(config.features);
  const auto length = net.classifier->feature_length();
  Pictures a(config.a), b(config.b);
  const auto count = agreed_count(config, a, b, length);
  FeatureStatistics of_a(length), of_b(length);
  Round round(world, config, count, length);
  std::uint64_t store = 0;
  std::int64_t done = 0;
  for (auto [pictures, statistics] : {std::pair{&a, &of_a}, std::pair{&b, &of_b}}) {
    pictures->choose(config, count, store++);
    for (std::int64_t block = 0; block * config.block < count; block += world.size()) {
      round.run(*net.classifier, *pictures, block, *statistics);
      for (std::int64_t r = 0; r < world.size(); ++r) done += round.rows(block + r);
      if (world.rank() == 0) progress(done, 2 * count);
    }
  }
  ScoreResult result;
  if (world.rank() == 0) result.distance = frechet_distance(of_a, of_b);
  world.broadcast("score distance", std::as_writable_bytes(std::span(&result.distance, 1)), 0);
  if (!std::isfinite(result.distance))
    throw Error(ExitCode::diverged, "the features hold non-finite values", "are the weights whole?");
  result.count = count;
  result.a = a.facts();
  result.b = b.facts();
  result.network = net.network;
  result.weights = net.source;
  result.weights_checksum = net.checksum;
  result.feature_length = length;
  result.input_height = net.classifier->input().height;
  result.input_width = net.classifier->input().width;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace langrun
