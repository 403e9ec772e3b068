#include "jobs/score_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "core/error.h"
#include "core/torch.h"
#include "distributed/agreement.h"

namespace langrun {
namespace {

// torch's name for distances by differences: by products, equal features would come out some way apart.
constexpr std::int64_t kByDifferences = 2;

std::string extents(const ScoreImages& images) {
  const auto shape = images.shape();
  return fmt::format("{} holds images of {}x{}x{}", images.path(), shape.height, shape.width, shape.channels);
}

/// Rows [first, first + count) as [count, C, H, W] float64 in [0, 1].
at::Tensor unit_images(const ScoreImages& images, std::int64_t first, std::int64_t count) {
  auto raw = images.read_raw(first, count);
  const auto shape = images.shape();
  return torch::from_blob(raw.data(), {count, shape.height, shape.width, shape.channels}, torch::kUInt8)
      .permute({0, 3, 1, 2})
      .to(torch::kFloat64, false, false, at::MemoryFormat::Contiguous)
      .div_(255);
}

/// This rank's part of the search, over its blocks of B.
class Search {
 public:
  Search(FeatureExtractor* net, const ScoreImages& a, const ScoreImages& b, std::int64_t block, at::Tensor features)
      : net_(net), b_(b), block_(block), queries_(a.read_raw(0, a.count())), query_features_(std::move(features)),
        pixels_(static_cast<std::size_t>(a.count())), features_(net == nullptr ? 0 : pixels_.size()) {}

  /// Images [first, first + rows) of B.
  void look_at(std::int64_t first, std::int64_t rows) {
    const auto bytes = b_.image_bytes();
    const auto raw = b_.read_raw(first, rows);
    for (std::size_t q = 0; q < pixels_.size(); ++q)
      for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i) {
        const auto squares =
            squared_distance(std::span(queries_).subspan(q * bytes, bytes), std::span(raw).subspan(i * bytes, bytes));
        pixels_[q].offer(static_cast<std::uint64_t>(first) + i, static_cast<double>(squares));
      }
    if (net_ == nullptr) return;
    const auto features = net_->features(b_.read(first, rows, block_)).to(torch::kFloat64);
    const auto apart = at::cdist(query_features_, features, 2.0, kByDifferences).contiguous();
    const auto* distance = apart.const_data_ptr<double>();
    for (std::size_t q = 0; q < features_.size(); ++q)
      for (std::int64_t i = 0; i < rows; ++i)
        features_[q].offer(static_cast<std::uint64_t>(first + i), distance[static_cast<std::int64_t>(q) * block_ + i]);
  }

  /// Of all ranks. Collective.
  void merge(Communicator& world) {
    for (auto* best : {&pixels_, &features_}) {
      const auto all = world.gather_all("score neighbours", std::as_bytes(std::span(*best)));
      for (const auto& bytes : all)
        for (std::size_t q = 0; q < best->size(); ++q) {
          Nearest other;
          std::memcpy(&other, bytes.data() + q * sizeof(Nearest), sizeof(Nearest));
          if (other.index != Nearest{}.index) (*best)[q].offer(other.index, other.distance);
        }
    }
  }

  std::vector<Neighbours> result() const {
    std::vector<Neighbours> all(pixels_.size());
    const auto values = static_cast<double>(b_.image_bytes());
    for (std::size_t q = 0; q < all.size(); ++q) {
      all[q].image = static_cast<std::int64_t>(q);
      all[q].pixels = {pixels_[q].index, std::sqrt(pixels_[q].distance / values) / 255};
      if (net_ != nullptr) all[q].features = features_[q];
    }
    return all;
  }

 private:
  FeatureExtractor* net_;
  const ScoreImages& b_;
  std::int64_t block_;
  std::vector<std::uint8_t> queries_;
  at::Tensor query_features_;               // [count, length] float64
  std::vector<Nearest> pixels_, features_;  // of pixels the sum of squares, until `result`
};

at::Tensor features_of(Communicator& world, FeatureExtractor& net, const ScoreImages& images, std::int64_t block,
                       const ImagesDone& done) {
  std::vector<at::Tensor> pieces;
  gather_features(
      world, net, images, block, [&](const at::Tensor& piece) { pieces.push_back(piece.to(torch::kFloat64)); }, done);
  return at::cat(pieces);
}

}  // namespace

void check_pairs(const ScoreImages& a, const ScoreImages& b, bool ssim) {
  if (a.shape() != b.shape())
    throw Error(ExitCode::input,
                fmt::format("--ssim and --neighbours want images of one size: {}, {}", extents(a), extents(b)),
                "`langrun data import --size S` brings images to one size");
  if (ssim && (a.shape().height < kSsimWindow || a.shape().width < kSsimWindow))
    throw Error(ExitCode::input, fmt::format("{}, --ssim wants {}x{} or more", extents(a), kSsimWindow, kSsimWindow),
                "its window is that large");
}

std::vector<double> pair_similarity(Communicator& world, ScoreImages& a, ScoreImages& b, std::int64_t count,
                                    std::int64_t block) {
  for (auto* images : {&a, &b}) images->choose({.count = count});
  const Blocks blocks{count, block};
  std::vector<double> own;
  agree(world, "structural similarity", [&] {
    for (auto i = static_cast<std::int64_t>(world.rank()); i < blocks.blocks(); i += world.size()) {
      const auto values = ssim(unit_images(a, i * block, blocks.rows(i)), unit_images(b, i * block, blocks.rows(i)));
      own.insert(own.end(), values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel());
    }
  });
  const auto bytes = world.gather_all("score similarities", std::as_bytes(std::span(own)));
  std::vector<double> all(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < blocks.blocks(); ++i)
    std::memcpy(all.data() + i * block,
                bytes[static_cast<std::size_t>(i % world.size())].data() +
                    static_cast<std::size_t>(i / world.size() * block) * sizeof(double),
                static_cast<std::size_t>(blocks.rows(i)) * sizeof(double));
  return all;
}

std::vector<Neighbours> nearest_neighbours(Communicator& world, FeatureExtractor* net, ScoreImages& a, ScoreImages& b,
                                           std::int64_t count, std::int64_t block, const ImagesDone& done) {
  a.choose({.count = count});
  b.choose({.count = b.size()});
  Search search(net, a, b, block, net == nullptr ? at::Tensor() : features_of(world, *net, a, block, done));
  const Blocks blocks{b.size(), block};
  agree(world, "nearest neighbours", [&] {
    for (auto i = static_cast<std::int64_t>(world.rank()); i < blocks.blocks(); i += world.size()) {
      search.look_at(i * block, blocks.rows(i));
      for (std::int64_t r = 0; r < world.size(); ++r) done(blocks.rows(i - world.rank() + r));
    }
  });
  search.merge(world);
  return search.result();
}

}  // namespace langrun
