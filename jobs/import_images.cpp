#include "jobs/import_images.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <span>

#include "core/error.h"
#include "distributed/agreement.h"
#include "jobs/ordered_workers.h"

namespace langrun {
namespace {

// Few enough that a failure anywhere stops all ranks within seconds, enough that agreeing costs nothing.
constexpr int kImagesPerRound = 256;
constexpr std::int64_t kMostThreads = 4096;
// Images decoded at a fraction that are decoded in full as well, where there are so many.
constexpr std::size_t kLeastCompared = 16;

void check(const ImportSettings& settings) {
  const auto fail = [](const std::string& what) {
    throw Error(ExitCode::usage, what, "--size S is the side of the square images that come out");
  };
  const auto& fit = settings.fit;
  if (fit.size == 0 && fit.random_crop) fail("--crop random without --size");
  if (fit.size == 0 && fit.scaled_decoding) fail("--scaled-decoding without --size");
  if (fit.crop_copies > 1 && !fit.random_crop)
    throw Error(ExitCode::usage, fmt::format("--crop-copies {} without --crop random", fit.crop_copies),
                "centre crops are all alike");
  if (settings.threads < 0 || settings.threads > kMostThreads)
    throw Error(ExitCode::usage, fmt::format("{} threads, expected 0 to {}", settings.threads, kMostThreads));
}

/// Files that a thread takes at once: small ones in dozens, for what handing over costs.
struct Piece {
  std::vector<SourceReader::Item> items;
};
constexpr std::size_t kPieceBytes = std::size_t{1} << 19, kPieceItems = 32;

/// This rank's part of the work. A row is one crop; image i has rows i * copies .. (i + 1) * copies - 1. One thread
/// reads files, `threads` decode and fit, and the calling thread writes, in the order of reading.
class Importer {
 public:
  Importer(const ImportSettings& settings, const ImageSource& source, std::uint64_t first, std::uint64_t last,
           int threads)
      : settings_(settings), source_(source), first_(first), reader_(source, first, last), left_(last - first),
        fitters_(static_cast<std::size_t>(threads), ImageFitter(settings.fit)),
        workers_(
            threads, static_cast<std::size_t>(2 * threads + 2), [this] { return read(); },
            [this](int thread, Piece&& piece) { return fit(fitters_[static_cast<std::size_t>(thread)], piece); }) {}

  BuildRound produce(ShardWriter& writer) {
    BuildRound round;
    for (int n = 0; n < kImagesPerRound && left_ > 0; ++n, --left_) {
      if (next_ == fitted_.size()) {
        auto more = workers_.next();
        if (!more) throw Error(ExitCode::internal, fmt::format("{} images are left unread", left_));
        fitted_ = std::move(*more);
        next_ = 0;
      }
      take(fitted_[next_++], writer, round);
    }
    round.finished = left_ == 0;
    round.first_image = first_image_;
    return round;
  }

  const ScaledDifference& difference() const { return difference_; }
  /// The first images that were decoded at a fraction and not compared, at most kLeastCompared.
  const std::vector<std::uint64_t>& not_compared() const { return not_compared_; }

 private:
  std::optional<Piece> read() {
    Piece piece;
    std::size_t bytes = 0;
    SourceReader::Item item;
    while (bytes < kPieceBytes && piece.items.size() < kPieceItems && reader_.next(item)) {
      bytes += item.bytes.size();
      piece.items.push_back(std::move(item));
      item = {};
    }
    if (piece.items.empty()) return std::nullopt;
    return piece;
  }

  std::vector<FittedImage> fit(ImageFitter& fitter, const Piece& piece) const {
    std::vector<FittedImage> fitted;
    for (const auto& item : piece.items) fitted.push_back(fitter.fit(source_.entries[item.index], item));
    return fitted;
  }

  void take(const FittedImage& image, ShardWriter& writer, BuildRound& round) {
    const auto& entry = source_.entries[image.index];
    const auto copies = static_cast<std::uint64_t>(settings_.fit.crop_copies);
    round.done += copies;
    try {
      if (image.failure) std::rethrow_exception(image.failure);
    } catch (const Error& error) {
      const auto what = fmt::format("{}: {}", source_.name_of(entry), error.what());
      if (error.code() != ExitCode::input || !settings_.skip_damaged)
        throw Error(error.code(), what, error.hint().empty() ? "--skip-damaged leaves such images out" : error.hint());
      round.damaged.push_back(what);
      for (std::uint64_t c = 0; c < copies; ++c) round.left_out.push_back(image.index * copies + c);
      return;
    }
    if (writer.shape() && image.shape != *writer.shape())
      throw Error(ExitCode::input,
                  fmt::format("{}: {} x {} pixels, but {} has {} x {}", source_.name_of(entry), image.shape.height,
                              image.shape.width, first_image_, writer.shape()->height, writer.shape()->width),
                  "--size S brings all images to one size");
    if (!writer.shape()) first_image_ = source_.name_of(entry);
    const auto bytes = static_cast<std::size_t>(image.shape.elements());
    for (std::uint64_t c = 0; c < copies; ++c)
      writer.put((image.index - first_) * copies + c, image.shape, std::span(image.pixels).subspan(c * bytes, bytes));
    difference_.add(image.difference);
    if (image.difference.scaled > image.difference.compared) remember(image.index);
  }

  // The lowest places, since images of compressed archives come in stored order, which ranks share differently.
  void remember(std::uint64_t index) {
    not_compared_.insert(std::lower_bound(not_compared_.begin(), not_compared_.end(), index), index);
    if (not_compared_.size() > kLeastCompared) not_compared_.pop_back();
  }

  const ImportSettings& settings_;
  const ImageSource& source_;
  std::uint64_t first_;
  SourceReader reader_;
  std::uint64_t left_;
  std::string first_image_;
  ScaledDifference difference_;
  std::vector<std::uint64_t> not_compared_;
  std::vector<FittedImage> fitted_;  ///< of the piece whose turn it is
  std::size_t next_ = 0;
  std::vector<ImageFitter> fitters_;
  OrderedWorkers<Piece, std::vector<FittedImage>> workers_;  ///< last: its threads end before what they use
};

/// Cores that this process may run on, for the threads of a rank: ranks of one host that were given the same cores
/// share them, others (mpirun binds ranks to cores of their own) have theirs. Collective.
int cores_of_rank(Communicator& world) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  // More processors than the set has place for: as many as are known of.
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
    for (unsigned core = 0; core < std::clamp(std::thread::hardware_concurrency(), 1u, unsigned{CPU_SETSIZE}); ++core)
      CPU_SET(core, &allowed);
  const auto host = host_name();
  std::vector<std::byte> own(sizeof(allowed) + host.size());
  std::memcpy(own.data(), &allowed, sizeof(allowed));
  std::memcpy(own.data() + sizeof(allowed), host.data(), host.size());
  const auto all = world.gather_all("cores", own);
  const auto sharing = std::count(all.begin(), all.end(), own);
  return std::max(1, CPU_COUNT(&allowed) / static_cast<int>(sharing));
}

/// Every 64th image, but at least 16 where there are so many.
std::uint64_t compare_every(std::uint64_t images) { return std::clamp<std::uint64_t>(images / kLeastCompared, 1, 64); }

ScaledDifference sum_over_ranks(Communicator& world, ScaledDifference own) {
  ScaledDifference all;
  for (const auto& bytes : world.gather_all("difference of scaled decoding", std::as_bytes(std::span(&own, 1)))) {
    std::memcpy(&own, bytes.data(), sizeof(own));
    all.add(own);
  }
  return all;
}

/// Where few of the images that were to be compared turned out large enough for a fraction: compares the first others,
/// by their order over all ranks, until `wanted` are. Collective.
ScaledDifference compare_more(Communicator& world, const ImportSettings& settings, const ImageSource& source,
                              const std::vector<std::uint64_t>& own, std::size_t wanted) {
  std::vector<std::uint64_t> all;
  for (const auto& bytes : world.gather_all("images decoded at a fraction", std::as_bytes(std::span(own)))) {
    const auto before = all.size();
    all.resize(before + bytes.size() / sizeof(std::uint64_t));
    if (!bytes.empty()) std::memcpy(all.data() + before, bytes.data(), bytes.size());
  }
  all.resize(std::min(all.size(), wanted));  // ranks' images follow each other, so these are in order
  auto each = settings.fit;
  each.compare_every = 1;
  ImageFitter fitter(each);
  ScaledDifference found;
  agree(world, "compare with full decoding", [&] {
    for (const auto index : own) {
      SourceReader reader(source, index, index + 1);
      SourceReader::Item item;
      if (std::find(all.begin(), all.end(), index) == all.end() || !reader.next(item)) continue;
      found.add(fitter.fit(source.entries[index], item).difference);
    }
  });
  found.scaled = 0;  // they have been counted
  return sum_over_ranks(world, found);
}

/// Adds what all ranks saw of scaled decoding to the store's record. Collective.
void add_difference(Communicator& world, const ImportSettings& settings, const ImageSource& source,
                    const Importer& importer, StoreRecord& record) {
  auto all = sum_over_ranks(world, importer.difference());
  const auto wanted = std::min(static_cast<std::int64_t>(kLeastCompared), all.scaled);
  if (all.compared < wanted)
    all.add(compare_more(world, settings, source, importer.not_compared(),
                         static_cast<std::size_t>(wanted - all.compared)));
  record.scaled_images = all.scaled;
  record.scaled_compared = all.compared;
  record.scaled_largest_difference = all.largest;
  record.scaled_mean_difference = all.mean();
}

/// Every rank looks for itself; a shared disk that shows them different folders must not end in mixed-up rows.
ImageSource find_alike(Communicator& world, const ImportSettings& settings) {
  ImageSource source;
  agree(world, "find images", [&] { source = find_images(settings.source, settings.find); });
  const auto print = std::bit_cast<std::int64_t>(source.fingerprint() >> 1);
  std::array<std::int64_t, 2> extremes{print, -print};
  world.maximum("compare sources", extremes);
  if (extremes[0] != -extremes[1])
    throw Error(ExitCode::input, fmt::format("{} does not look the same on all ranks", settings.source.string()),
                "it must be on a file system that all hosts share, and must not change meanwhile");
  return source;
}

StoreRecord record_of(const ImportSettings& settings) {
  StoreRecord record;
  // A folder may be given as "x/" or ".".
  const auto whole = std::filesystem::absolute(settings.source).lexically_normal();
  record.source = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  record.size = settings.fit.size;
  record.crop = settings.fit.size == 0 ? "none" : settings.fit.random_crop ? "random" : "center";
  record.crop_copies = settings.fit.crop_copies;
  record.seed = static_cast<std::int64_t>(settings.fit.seed);
  record.scaled_decoding = settings.fit.scaled_decoding;
  using Split = SourceSettings::Split;
  record.split = settings.find.split == Split::train ? "train" : settings.find.split == Split::test ? "test" : "all";
  return record;
}

}  // namespace

ImportResult import_images(Communicator& world, const ImportSettings& settings, const BuildNotes& notes) {
  check(settings);
  const int threads = settings.threads > 0 ? static_cast<int>(settings.threads) : cores_of_rank(world);
  const auto source = find_alike(world, settings);
  if (!source.foreign.empty() && !settings.skip_damaged)
    throw Error(ExitCode::input, fmt::format("{}: not an image: {}", settings.source.string(), source.foreign.front()),
                "remove it, or leave such files out with --skip-damaged");
  if (world.rank() == 0 && notes.warn)
    for (const auto& name : source.foreign)
      notes.warn(fmt::format("{}: not an image: {}; left out", settings.source.string(), name));

  const auto images = static_cast<std::uint64_t>(source.entries.size()),
             copies = static_cast<std::uint64_t>(settings.fit.crop_copies);
  const auto first = share_begin(images, world.rank(), world.size()),
             last = share_begin(images, world.rank() + 1, world.size());
  auto own = settings;
  if (own.fit.compare_every == 0) own.fit.compare_every = compare_every(images);
  Importer importer(own, source, first, last, threads);
  ImportResult result;
  BuildPlan plan;
  plan.own_first = first * copies;
  plan.own_last = last * copies;
  plan.out = settings.out;
  plan.rows = images * copies;
  plan.classes = source.classes;
  plan.record = record_of(settings);
  plan.record.skipped = static_cast<std::int64_t>(source.foreign.size());
  plan.label = [&](std::uint64_t row) { return static_cast<std::int64_t>(source.entries[row / copies].label); };
  plan.produce = [&](ShardWriter& writer) { return importer.produce(writer); };
  plan.complete_record = [&](StoreRecord& record) {
    if (settings.fit.scaled_decoding) add_difference(world, settings, source, importer, record);
    result.record = record;
  };
  result.store = build_store(world, plan, notes);
  result.classes = source.classes;
  result.train = source.train;
  result.test = source.test;
  return result;
}

}  // namespace langrun
