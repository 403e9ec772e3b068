#include "jobs/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>

#include "core/error.h"
#include "core/frechet.h"
#include "core/torch.h"
#include "distributed/agreement.h"
#include "jobs/feature_rounds.h"
#include "jobs/score_resampling.h"

namespace langrun {
namespace {

/// A or B, whichever form it has.
struct Side {
  std::string path;
  std::optional<ScoreImages> images;
  std::optional<StoredStatistics> stored;
  ImagesUsed used;
  std::optional<FeatureStatistics> statistics;  ///< complete on rank 0; of stored ones, everywhere
  at::Tensor features;                          ///< where they are resampled

  explicit Side(const std::string& path_) : path(path_) {
    if (is_statistics_file(path)) {
      stored = read_statistics_file(path);
      used = stored->images;
      used.path = path;
      const auto n = stored->net.length;
      statistics.emplace(used.count, torch::tensor(stored->mean, torch::kFloat64),
                         torch::tensor(stored->scatter, torch::kFloat64).view({n, n}));
      return;
    }
    images.emplace(path);
    const auto shape = images->shape();
    used.path = path;
    used.images = images->size();
    used.channels = shape.channels;
    used.height = shape.height;
    used.width = shape.width;
    used.attributes = making_of(path);
  }
};

void check_sides(const ScoreConfig& config, const std::vector<Side>& sides) {
  const auto stored =
      std::find_if(sides.begin(), sides.end(), [](const Side& side) { return side.stored.has_value(); });
  const bool none = stored == sides.end();
  if (!none && (config.ssim || config.neighbours > 0))
    throw Error(ExitCode::usage, fmt::format("--ssim and --neighbours want images, {} holds statistics", stored->path),
                "give the store they were made of");
  if (!none && !config.statistics.empty())
    throw Error(ExitCode::usage, fmt::format("{} holds statistics already", stored->path), "give an image store");
  const bool all = std::all_of(sides.begin(), sides.end(), [](const Side& side) { return side.stored.has_value(); });
  if (all && config.resamples > 0)
    throw Error(ExitCode::usage, "--resamples wants images, both files hold statistics",
                "give the store of one at least");
}

/// How many images of each store; those of statistics are counted already.
void agree_on_counts(const ScoreConfig& config, std::vector<Side>& sides) {
  const Side* smaller = nullptr;
  for (const auto& side : sides)
    if (side.images && (smaller == nullptr || side.images->size() < smaller->images->size())) smaller = &side;
  if (smaller == nullptr) return;
  const auto most = smaller->images->size();
  if (config.count > most)
    throw Error(ExitCode::usage,
                fmt::format("--count {} given, {} holds {} images", config.count, smaller->path, most));
  if (config.neighbours > sides[0].used.images)
    throw Error(ExitCode::usage, fmt::format("--neighbours {} given, {} holds {} images", config.neighbours,
                                             sides[0].path, sides[0].used.images));
  std::uint64_t place = 0;
  for (auto& side : sides) {
    const auto number = place++;
    if (!side.images) continue;
    side.used.count = config.count > 0 ? config.count : most;
    side.used.choice = config.choice;
    side.used.seed = config.seed;
    side.used.block = config.block;
    side.used.threads = config.threads;
    side.images->choose({side.used.count, config.choice, config.seed, number});
  }
}

void check_enough(const Side& side, std::int64_t length, bool both) {
  if (side.used.count > length) return;
  throw Error(ExitCode::usage,
              fmt::format("{} images of {} are too few for features of length {}: at least {} are needed",
                          side.used.count, both ? "each store" : side.path, length, length + 1),
              "with fewer the covariance is singular and the distance says nothing; several thousand are usual");
}

/// What of the net differs between two sides, or a side and the net that was named.
void check_same_net(const NetUsed& kept, const std::string& file, const NetUsed& wanted, const std::string& by) {
  const auto differ = [&](const char* what, const auto& had, const auto& has) {
    if (had == has) return;
    throw Error(ExitCode::input, fmt::format("{} was made with {} {}, {} has {}", file, what, had, by, has),
                "statistics go with one net and its settings; make them again with this one");
  };
  const auto input = [](const NetUsed& net) { return fmt::format("{}x{}", net.input_height, net.input_width); };
  differ("network", kept.network, wanted.network);
  differ("weights of checksum", kept.checksum, wanted.checksum);
  differ("features of length", kept.length, wanted.length);
  differ("images brought to", input(kept), input(wanted));
  differ("images of range", kept.range, wanted.range);
}

class Scorer {
 public:
  Scorer(const ScoreConfig& config, Communicator& world, const ScoreProgress& progress)
      : config_(config), world_(world), progress_(progress) {}
  ScoreResult run();

 private:
  void open();
  void open_net();
  void count_work();
  void take_statistics(Side& side);
  void measure();
  void write_statistics();
  void done(std::int64_t images) {
    done_ += images;
    if (world_.rank() == 0) progress_(done_, all_);
  }
  ImagesDone reporter() {
    return [this](std::int64_t images) { done(images); };
  }

  const ScoreConfig& config_;
  Communicator& world_;
  const ScoreProgress& progress_;
  std::vector<Side> sides_;
  std::unique_ptr<FeatureExtractor> net_;
  std::int64_t done_ = 0, all_ = 0;
  ScoreResult result_;
};

void Scorer::open() {
  sides_.emplace_back(config_.a);
  if (!config_.b.empty()) sides_.emplace_back(config_.b);
  check_sides(config_, sides_);
  agree_on_counts(config_, sides_);
  if (config_.ssim || config_.neighbours > 0) check_pairs(*sides_[0].images, *sides_[1].images, config_.ssim);
}

void Scorer::open_net() {
  if (!config_.features.file.empty()) {
    // The net sees images of a store where there is one, else it is held against statistics alone.
    const auto& first = sides_[0].images || sides_.size() == 1 ? sides_[0] : sides_[1];
    net_ = open_feature_extractor(config_.features, {3, first.used.height, first.used.width}, config_.block);
    result_.net = net_->facts();
    for (const auto& side : sides_) {
      const bool same = side.used.height == first.used.height && side.used.width == first.used.width;
      if (side.images && !same && result_.net->network == "torchscript" && config_.features.size == 0)
        throw Error(ExitCode::input,
                    fmt::format("{} holds images of {}x{}, {} of {}x{}", sides_[0].path, sides_[0].used.height,
                                sides_[0].used.width, sides_[1].path, sides_[1].used.height, sides_[1].used.width),
                    "--features.size S brings both to one size");
    }
  }
  for (const auto& side : sides_) {
    if (!side.stored) continue;
    if (!result_.net) result_.net = side.stored->net;
    check_same_net(side.stored->net, side.path, *result_.net, net_ ? config_.features.file : sides_[0].path);
  }
  if (!net_) return;
  const bool both = std::all_of(sides_.begin(), sides_.end(), [](const Side& side) { return side.images.has_value(); });
  for (const auto& side : sides_) check_enough(side, result_.net->length, both && sides_.size() == 2);
}

void Scorer::count_work() {
  for (const auto& side : sides_)
    if (side.images && net_) all_ += side.used.count;
  if (config_.neighbours > 0) all_ += sides_[1].used.images + (net_ ? config_.neighbours : 0);
}

void Scorer::take_statistics(Side& side) {
  FeatureStatistics statistics(result_.net->length);
  const bool keep = config_.resamples > 0;
  if (keep) side.features = torch::empty({side.used.count, statistics.length()});
  std::int64_t row = 0;
  gather_features(
      world_, *net_, *side.images, config_.block,
      [&](const at::Tensor& features) {
        if (keep) side.features.narrow(0, row, features.size(0)).copy_(features);
        row += features.size(0);
        if (world_.rank() == 0) statistics.add(features);
      },
      reporter());
  agree(world_, "score statistics", [&] {
    if (!statistics.finite())
      throw Error(ExitCode::diverged, fmt::format("the features of {} hold non-finite values", side.path),
                  "are the weights whole, and the images of the range that the net takes?");
  });
  side.statistics = std::move(statistics);
}

void Scorer::measure() {
  if (!result_.net || sides_.size() < 2) return;
  double distance = 0;
  agree(world_, "score distance", [&] {
    if (world_.rank() == 0) distance = frechet_distance(*sides_[0].statistics, *sides_[1].statistics);
  });
  world_.broadcast("score distance of rank 0", std::as_writable_bytes(std::span(&distance, 1)), 0);
  result_.distance = distance;
  if (config_.resamples == 0) return;
  std::array<ResampledSide, 2> drawn;
  for (std::size_t i = 0; i < 2; ++i) {
    drawn[i].features = sides_[i].features;
    if (sides_[i].stored) drawn[i].fixed = sides_[i].statistics;
  }
  result_.interval = resample_distance(world_, drawn[0], drawn[1], distance, config_.resamples, config_.seed);
}

void Scorer::write_statistics() {
  agree(world_, "write statistics", [&] {
    if (world_.rank() != 0) return;
    auto& side = sides_[0];
    const auto& s = *side.statistics;
    const auto values = [](const at::Tensor& t) {
      const auto whole = t.contiguous();
      return std::vector<double>(whole.const_data_ptr<double>(), whole.const_data_ptr<double>() + whole.numel());
    };
    StoredStatistics stored{side.used, *result_.net, values(s.mean()), values(s.scatter())};
    // Files are moved to other machines, where their makers' folders mean nothing.
    stored.images.path = std::filesystem::path(side.path).filename().string();
    stored.net.file = std::filesystem::path(stored.net.file).filename().string();
    write_statistics_file(config_.statistics, stored);
  });
}

ScoreResult Scorer::run() {
  open();
  open_net();
  count_work();
  for (auto& side : sides_)
    if (side.images && net_) take_statistics(side);
  measure();
  if (!config_.statistics.empty()) write_statistics();
  result_.a = {sides_[0].used, sides_[0].stored.has_value()};
  if (sides_.size() == 2) result_.b = ScoredSide{sides_[1].used, sides_[1].stored.has_value()};
  if (config_.ssim)
    result_.similarities =
        pair_similarity(world_, *sides_[0].images, *sides_[1].images, sides_[0].used.count, config_.block);
  if (config_.neighbours > 0)
    result_.neighbours = nearest_neighbours(world_, net_.get(), *sides_[0].images, *sides_[1].images,
                                            config_.neighbours, config_.block, reporter());
  return std::move(result_);
}

}  // namespace

void check_score(const ScoreConfig& config) {
  const auto fail = [](const std::string& what, const std::string& hint) { throw Error(ExitCode::usage, what, hint); };
  const bool pairs = config.ssim || config.neighbours > 0;
  if (!config.statistics.empty() && !config.b.empty())
    fail("--statistics takes one store, two were given", "langrun score STORE --features FILE --statistics OUT");
  if (!config.statistics.empty() && (pairs || config.resamples > 0))
    fail("--statistics compares nothing: no --ssim, --neighbours or --resamples with it",
         "score the store against another in a call of its own");
  if (config.statistics.empty() && config.b.empty())
    fail("B is missing", "give two stores, or one and --statistics FILE to keep its statistics");
  if (!config.statistics.empty() && std::filesystem::exists(config.statistics))
    fail(fmt::format("{} exists already", config.statistics),
         "nothing is written over; remove it or choose another name");
  const auto stored = [](const std::string& file) { return !file.empty() && is_statistics_file(file); };
  const bool needs_none = (pairs && config.resamples == 0) || (stored(config.a) && stored(config.b));
  if (config.features.file.empty() && !needs_none)
    fail("langrun score: --features is missing", "name the feature net: --features FILE[:network]");
  if (config.resamples == 1) fail("--resamples 1", "an interval wants 2 or more; 200 are usual");
}

ScoreResult score(const ScoreConfig& config, Communicator& world, const ScoreProgress& progress) {
  const auto start = std::chrono::steady_clock::now();
  at::set_num_threads(static_cast<int>(config.threads));
  const torch::NoGradGuard constant;
  check_score(config);
  auto result = Scorer(config, world, progress).run();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace langrun
