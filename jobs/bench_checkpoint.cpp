#include <ATen/Parallel.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.h"
#include "core/torch.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "distributed/lanes.h"
#include "jobs/bench.h"
#include "jobs/bench_folder.h"
#include "jobs/checkpoint_writer.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

const ImageShape kImage{3, 32, 32};
constexpr std::int64_t kLatent = 128, kGemm = 384;

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Processor time of all threads but this one, which trains (and spins while it waits for other ranks).
double background_seconds() {
  const auto read = [](clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  };
  return read(CLOCK_PROCESS_CPUTIME_ID) - read(CLOCK_THREAD_CPUTIME_ID);
}

// Before memory is asked for: the system would give it, and end the program later.
void check_space(const BenchConfig& config, Communicator& world, const fs::path& folder) {
  agree(world, "space for the benchmark", [&] {
    const double bank = config.gigabytes * 1e9, ranks = world.size();
    std::ifstream file("/proc/meminfo");
    double kilobytes = 0;
    for (std::string word; file >> word;)
      if (word == "MemAvailable:" && file >> kilobytes) break;
    if (kilobytes > 0 && bank / ranks > 0.9 * 1024 * kilobytes)
      throw Error(ExitCode::usage,
                  fmt::format("a bank of {:.3g} GB a rank does not fit into the {:.3g} GB of memory that are free",
                              bank / ranks / 1e9, 1024e-9 * kilobytes),
                  "use a smaller --gigabytes");
    std::error_code unknown;
    const auto disk = fs::space(folder, unknown);
    if (world.rank() == 0 && !unknown && 1.1 * bank > static_cast<double>(disk.available))
      throw Error(ExitCode::storage,
                  fmt::format("checkpoints of {:.3g} GB do not fit into the {:.3g} GB that are free in {}",
                              config.gigabytes, 1e-9 * static_cast<double>(disk.available), folder.string()),
                  "use a smaller --gigabytes, or another --folder");
  });
}

/// This rank's lanes of a bank of so many bytes.
struct Bank {
  Bank(const BenchConfig& config, const Communicator& world)
      : lanes(lanes_of(config.lanes, world.rank(), world.size())), batch(lane_batch(config.batch, config.lanes)) {
    const auto row = 4.0 * static_cast<double>(kImage.elements() + kLatent) + 16;
    const auto rows = static_cast<std::int64_t>(config.gigabytes * 1e9 / row / static_cast<double>(config.lanes));
    if (rows < batch)
      throw Error(ExitCode::usage, fmt::format("--gigabytes {} is less than one batch", config.gigabytes),
                  "use a larger one, or a smaller --batch");
    for (std::int64_t i = 0; i < lanes.owned; ++i) {
      held.push_back(BankLane::make(rows, kImage, kLatent));
      held.back().images.uniform_(-1, 1);
      held.back().latents.normal_();
    }
    bytes = row * static_cast<double>(rows * lanes.owned);
  }

  Lanes lanes;
  std::int64_t batch;
  std::vector<BankLane> held;
  double bytes = 0;  // of this rank
};

// What `dd conv=fsync` does, from the bank's own memory.
void write_plainly(const fs::path& path, const Bank& bank) {
  constexpr std::size_t kAtOnce = 1 << 20;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) throw_storage("cannot write", path);
  bool good = true;
  for (const auto& lane : bank.held)
    for (const auto& tensor : {lane.images, lane.latents}) {
      const auto* from = static_cast<const char*>(tensor.const_data_ptr());
      for (std::size_t done = 0; good && done < tensor.nbytes();) {
        const auto n = ::write(file, from + done, std::min(kAtOnce, tensor.nbytes() - done));
        good = n > 0;
        done += good ? static_cast<std::size_t>(n) : 0;
      }
    }
  good = good && ::fsync(file) == 0;
  ::close(file);
  if (!good) throw_storage("cannot write", path);
}

std::vector<BenchFigure> write_rates(const BenchConfig& config, const Bank& bank, const fs::path& folder,
                                     Communicator& world) {
  const auto own = folder / fmt::format("rank-{}", world.rank());
  const auto clear = [own] {
    std::error_code ignored;
    fs::remove_all(own, ignored);
    make_folder(own);
  };
  clear();
  const std::vector<BenchCase> cases{
      {"snapshot of a bank", bank.bytes / 1e6,
       [&] { StateSnapshot({}, bank.held, bank.lanes.first, bank.lanes.count).write(own, {}); }, clear},
      {"plain writes and fsync", bank.bytes / 1e6, [&] { write_plainly(own / "plain", bank); }, clear}};
  return measure_in_turns(cases, "MB/s", config.repeats, 0, world);
}

/// Steps that draw from the bank, compute for a given time, and write back, all ranks in step.
class Loop {
 public:
  Loop(const BenchConfig& config, Bank& bank, const fs::path& folder, Communicator& world)
      : config_(config), bank_(bank), folder_(folder), world_(world), a_(torch::rand({kGemm, kGemm})) {
    const auto begun = wall_seconds();
    std::int64_t products = 0;
    for (; wall_seconds() - begun < 0.5; ++products) compute(1);
    std::array<std::int64_t, 1> all{std::llround(static_cast<double>(products) * config.step_seconds / 0.5)};
    world.maximum("benchmark", all);
    products_ = std::max<std::int64_t>(all[0], 1);
  }

  struct Took {
    double wall = 0, background = 0, stood = 0;  // seconds
  };

  /// `config.every` steps, with a checkpoint begun at the first and finished at the last, or without.
  Took run(bool checkpoint) {
    world_.barrier("benchmark");
    Took took;
    const auto wall = wall_seconds(), background = background_seconds();
    CheckpointWriter writer;
    std::weak_ptr<FrozenBank> frozen;
    if (checkpoint) took.stood += begin(writer, frozen);
    for (std::int64_t i = 0; i < config_.every; ++i) {
      took.stood += step(frozen);
      world_.barrier("benchmark step");
    }
    if (checkpoint) took.stood += finish(writer);
    world_.barrier("benchmark");
    took.wall = wall_seconds() - wall;
    took.background = background_seconds() - background;
    std::error_code ignored;
    if (world_.rank() == 0) fs::remove_all(folder_ / "checkpoint", ignored);
    return slowest(took);
  }

 private:
  void compute(std::int64_t products) {
    for (std::int64_t i = 0; i < products; ++i) b_ = torch::mm(a_, a_);
  }

  double begin(CheckpointWriter& writer, std::weak_ptr<FrozenBank>& frozen) {
    const auto begun = wall_seconds();
    const auto partial = folder_ / "checkpoint" / "00000001.partial";
    agree(world_, "benchmark folder", [&] {
      if (world_.rank() == 0) make_folder(partial);
    });
    auto snapshot =
        std::make_unique<StateSnapshot>(std::vector<WeightsPart>{}, bank_.held, bank_.lanes.first, bank_.lanes.count);
    frozen = snapshot->bank();
    writer.begin(1, partial, std::move(snapshot));
    return wall_seconds() - begun;
  }

  double finish(CheckpointWriter& writer) {
    const auto begun = wall_seconds();
    std::vector<CheckpointFile> files;
    agree(world_, "benchmark files", [&] { files = writer.finish(false); });
    agree(world_, "benchmark manifest", [&] {
      if (world_.rank() != 0) return;
      write_manifest(writer.folder(), {1, 1, bank_.lanes.count, 0, {}, "", std::move(files)});
      sync_path(writer.folder());
      (void)publish_checkpoint(folder_ / "checkpoint", writer.folder(), 1, 1);
    });
    return wall_seconds() - begun;
  }

  double step(const std::weak_ptr<FrozenBank>& frozen) {
    const torch::NoGradGuard constant;
    ++step_;
    double stood = 0;
    for (std::size_t i = 0; i < bank_.held.size(); ++i) {
      auto& lane = bank_.held[i];
      const auto rows = draw_rows(noise_key(1, Stream::bank_draw), bank_.lanes.first + static_cast<std::int64_t>(i),
                                  step_, lane.rows(), bank_.batch);
      const auto images = lane.take_images(rows), latents = lane.take_latents(rows);
      compute(std::max<std::int64_t>(products_ / bank_.lanes.owned, 1));
      if (const auto held = frozen.lock()) stood += held->keep(i, rows);
      lane.put(rows, images, latents);
    }
    return stood;
  }

  Took slowest(const Took& own) {
    std::array<std::int64_t, 3> all{std::llround(1e9 * own.wall), std::llround(1e9 * own.background),
                                    std::llround(1e9 * own.stood)};
    world_.maximum("benchmark", all);
    return {1e-9 * static_cast<double>(all[0]), 1e-9 * static_cast<double>(all[1]), 1e-9 * static_cast<double>(all[2])};
  }

  const BenchConfig& config_;
  Bank& bank_;
  const fs::path& folder_;
  Communicator& world_;
  at::Tensor a_, b_;
  std::int64_t products_ = 1, step_ = 0;
};

}  // namespace

BenchReport bench_checkpoint(const BenchConfig& config, Communicator& world) {
  at::set_num_threads(static_cast<int>(config.threads));
  const BenchFolder folder(world, config.folder.empty() ? "." : config.folder);
  check_space(config, world, folder.path());
  Bank bank(config, world);
  BenchReport report{"checkpoint",
                     {{"gigabytes", fmt::format("{:.3g}", config.gigabytes)},
                      {"every", std::to_string(config.every)},
                      {"step-seconds", fmt::format("{:.3g}", config.step_seconds)},
                      {"batch", std::to_string(config.batch)},
                      {"lanes", std::to_string(config.lanes)}},
                     write_rates(config, bank, folder.path(), world),
                     {}};
  report.ratios.push_back(ratio_of(report.figures[0], report.figures[1]));
  Loop loop(config, bank, folder.path(), world);
  (void)loop.run(true);
  BenchFigure stood{"training stood still, a checkpoint", "s", {}, {}};
  BenchFigure processor{"processor time of a rank's writing threads", "s", {}, {}};
  BenchFigure added{"wall time added, a checkpoint", "s", {}, {}};
  BenchFigure share{fmt::format("share of {} steps of {:.3g} s", config.every, config.step_seconds), "%", {}, {}};
  BenchFigure bound{"the same by what stood still and was computed", "%", {}, {}};
  for (std::int64_t repeat = 0; repeat < config.repeats; ++repeat) {
    const auto without = loop.run(false), with = loop.run(true);
    stood.values.push_back(with.stood);
    processor.values.push_back(with.background - without.background);
    added.values.push_back(with.wall - without.wall);
    share.values.push_back(100 * (with.wall - without.wall) / without.wall);
    bound.values.push_back(100 * (with.stood + with.background - without.background) / without.wall);
  }
  report.figures.insert(report.figures.end(), {stood, processor, added, share, bound});
  return report;
}

}  // namespace langrun
