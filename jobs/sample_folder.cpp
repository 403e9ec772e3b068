#include "jobs/sample_folder.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>

#include "core/torch.h"
#include "data/durable.h"
#include "data/generation_folder.h"
#include "data/weights_file.h"
#include "distributed/agreement.h"
#include "jobs/chain_blocks.h"
#include "jobs/points_panel.h"
#include "jobs/sample_state.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

fs::path begun_mark(const fs::path& state) { return state / "begun"; }

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Block under way on this rank, with what was seen of it so far.
struct Walk {
  ChainBlock block;
  std::vector<BlockColumn> columns;
  std::int64_t saved_at = 0;
};

std::vector<float> host_values(const at::Tensor& chains) {
  const auto host = chains.to(torch::kCPU).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

std::vector<float> latents_of(const ChainBlock& block) {
  return block.pairs.latents.defined() ? host_values(block.pairs.latents) : std::vector<float>{};
}

/// Columns of a block or a table, in the order in which ranks hand them over.
template <typename Columns>
auto columns_of(Columns& c) {
  std::vector columns{&c.energy, &c.magnitude};
  if (!c.residual.empty()) columns.push_back(&c.residual);
  return columns;
}

}  // namespace

bool chains_begun(const fs::path& run) {
  std::error_code ignored;
  return fs::exists(begun_mark(newest_generation_folder(run, kSampleState).path), ignored);
}

class FolderSampling::Parts {
 public:
  Parts(const SampleConfig& config, bool begun, Communicator& world)
      : config_(config), world_(world), begun_(begun), blocks_(config_, world, !begun) {}

  ChainBlocks& blocks() { return blocks_; }

  ExitCode run(const SampleFolderConfig& folder, std::size_t finished, SampleObserver& observer) {
    folder_ = &folder;
    observer_ = &observer;
    stop_clock_.emplace(folder.stop_clock);
    agree(world_, "begin samples", [&] {
      if (world_.rank() == 0) observer.begin(blocks_.count(), blocks_.image());
    });
    if (!begun_ && !begin_all()) return ExitCode::stopped;
    for (auto at = finished; at < folder.steps.size(); ++at) {
      if (!walk_to(at)) return ExitCode::stopped;
      publish(at);
      const bool last = at + 1 == folder.steps.size();
      if (!last && folder.stop_at > 0 && folder.steps[at] >= folder.stop_at) return ExitCode::stopped;
    }
    return ExitCode::done;
  }

 private:
  // All chains are begun before any walks: what they come from may be gone or have changed when the sampling goes on.
  bool begin_all() {
    std::int64_t next = world_.rank();
    const auto begin_some = [&](Clock::time_point until) {
      for (; next < blocks_.blocks() && Clock::now() < until; next += world_.size()) save({blocks_.begin(next), {}, 0});
      return next < blocks_.blocks();
    };
    if (!in_turns(begin_some)) return false;
    agree(world_, "all chains begun", [&] {
      if (world_.rank() == 0) write_durably(begun_mark(folder_->state), "\n");
    });
    begun_ = true;
    return true;
  }

  bool walk_to(std::size_t at) {
    const auto target = folder_->steps[at];
    std::optional<Walk> walk;
    std::int64_t next = world_.rank();
    const auto walk_some = [&](Clock::time_point until) {
      do {
        if (!walk) walk = next_walk(next, target);
        if (!walk) return false;
        if (step(*walk, at)) walk.reset();
      } while (Clock::now() < until && !stop_wanted());
      if (walk) save_if_due(*walk);
      if (world_.rank() == 0 && walk)
        observer_->progress(walk->block.step, target, walk->block.number, blocks_.blocks());
      return walk.has_value() || next < blocks_.blocks();
    };
    const bool through = in_turns(walk_some);
    if (!through)
      agree(world_, "save chains", [&] {
        if (walk) save(*walk);
      });
    return through && !stops_before(target);
  }

  bool stops_before(std::int64_t target) const { return folder_->stop_at > 0 && folder_->stop_at < target; }

  /// The next own block that has not come to `target`, and is not to stop where it is.
  std::optional<Walk> next_walk(std::int64_t& next, std::int64_t target) {
    for (; next < blocks_.blocks(); next += world_.size()) {
      auto state = read_block(folder_->state, next, config_.call, blocks_.image());
      if (state.step > target)
        throw Error(
            ExitCode::usage,
            fmt::format("chains of block {} have gone {} steps, and step {} is listed", next, state.step, target),
            "leave out of --steps-list what chains have passed");
      const bool seen = state.columns.size() > listed_before(target);
      if (seen || (stops_before(target) && state.step >= folder_->stop_at)) continue;
      Walk walk{taken_up(state), std::move(state.columns), state.step};
      next += world_.size();
      return walk;
    }
    return std::nullopt;
  }

  // Of copies, since the state goes.
  ChainBlock taken_up(BlockState& state) {
    const auto image = blocks_.image();
    const auto kept = torch::from_blob(state.chains.data(), {config_.call, image.channels, image.height, image.width});
    const auto latents =
        torch::from_blob(state.latents.data(), {config_.call, std::ssize(state.latents) / config_.call});
    if (latents.size(1) != blocks_.latent_length())
      throw Error(
          ExitCode::storage,
          fmt::format("{}: its latents are of {} numbers, the generator takes {}",
                      block_file(folder_->state, state.number).string(), latents.size(1), blocks_.latent_length()),
          "this sampling cannot go on; begin it anew in another folder");
    return blocks_.take_up(state.number, state.step, kept.clone(), latents.clone(), state.magnitudes);
  }

  std::size_t listed_before(std::int64_t target) const {
    std::size_t before = 0;
    while (folder_->steps[before] < target) ++before;
    return before;
  }

  /// One piece; true where the block is where it is to be, and saved.
  bool step(Walk& walk, std::size_t at) {
    const auto target = folder_->steps[at];
    blocks_.advance(walk.block, target);
    if (walk.block.step == target) {
      walk.columns.push_back(seen(walk, at));
      save(walk);
      return true;
    }
    if (stops_before(target) && walk.block.step >= folder_->stop_at) {
      save(walk);
      return true;
    }
    return false;
  }

  BlockColumn seen(Walk& walk, std::size_t at) {
    BlockColumn column{blocks_.energies(walk.block), {}, blocks_.residual_sizes(walk.block)};
    const auto steps = folder_->steps[at] - (at == 0 ? 0 : folder_->steps[at - 1]);
    for (auto& sum : walk.block.magnitudes) {
      column.magnitude.push_back(steps == 0 ? std::numeric_limits<float>::quiet_NaN()
                                            : static_cast<float>(sum / static_cast<double>(steps)));
      sum = 0;
    }
    return column;
  }

  void save_if_due(Walk& walk) {
    if (folder_->checkpoint_every <= 0 || walk.block.step - walk.saved_at < folder_->checkpoint_every) return;
    save(walk);
    walk.saved_at = walk.block.step;
  }

  void save(const Walk& walk) {
    const auto begun = Clock::now();
    write_block(folder_->state,
                {walk.block.number, walk.block.step, host_values(ChainBlocks::kept(walk.block)), latents_of(walk.block),
                 walk.block.magnitudes, walk.columns},
                blocks_.image());
    stop_clock_->saw_save(seconds_since(begun));
  }

  bool stop_wanted() const { return folder_->stop_asked() || stop_clock_->asks(); }

  /// Collective: every rank has the same error to ask about.
  void refuse_if_overtaken() {
    agree(world_, "look for a newer start", [&] {
      if (world_.rank() == 0 && folder_->overtaken()) throw overtaken_error(folder_->run);
    });
  }

  /// Rounds of a second or so of `work` on every rank, until none has more to do (true) or one was asked to stop
  /// (false). Errors are every rank's.
  bool in_turns(const std::function<bool(Clock::time_point until)>& work) {
    for (std::int64_t turn = 1;; ++turn) {
      bool more = false, overtaken = false;
      const auto begun = Clock::now();
      world_.enter(fmt::format("sampling, turn {}", turn));
      try {
        agree(world_, "sample", [&] {
          more = work(Clock::now() + std::chrono::seconds(1));
          if (world_.rank() == 0 && seconds_since(looked_) > 3) {
            looked_ = Clock::now();
            overtaken = folder_->overtaken();
          }
        });
      } catch (const Error& error) {
        // A newer start takes the folder of states away; then that is what there is to say.
        if (error.code() == ExitCode::storage) refuse_if_overtaken();
        throw;
      }
      std::array<std::int64_t, 3> flags{more, stop_wanted(), overtaken};
      world_.maximum("go on or stop", flags);
      stop_clock_->saw_step(seconds_since(begun));
      if (flags[2] != 0) throw overtaken_error(folder_->run);
      if (flags[0] == 0) return true;
      if (flags[1] != 0) return false;
    }
  }

  /// What a rank hands over of one block: images, then its columns.
  std::vector<std::byte> packed(std::int64_t number, std::size_t at) {
    auto state = read_block(folder_->state, number, config_.call, blocks_.image());
    const auto images = ChainBlocks::as_bytes(blocks_.shown(taken_up(state)));
    const auto* begin = reinterpret_cast<const std::byte*>(images.const_data_ptr<std::uint8_t>());
    std::vector<std::byte> bytes(begin, begin + images.numel());
    for (std::size_t i = 0; i <= at; ++i)
      for (const auto* values : columns_of(state.columns.at(i))) {
        const auto raw = std::as_bytes(std::span(*values));
        bytes.insert(bytes.end(), raw.begin(), raw.end());
      }
    return bytes;
  }

  // In rounds of one block a rank, so that no rank holds more than R blocks of bytes.
  void publish(std::size_t at) {
    ChainTable table;
    table.steps.assign(folder_->steps.begin(), folder_->steps.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    table.chains = blocks_.count();
    if (world_.rank() == 0) {
      table.energy.resize(static_cast<std::size_t>(table.chains) * (at + 1));
      table.magnitude.resize(table.energy.size());
      if (config_.hat) table.residual.resize(table.energy.size());
    }
    for (std::int64_t first = 0; first < blocks_.blocks(); first += world_.size()) {
      std::vector<std::byte> own;
      agree(world_, "read chains", [&] {
        if (first + world_.rank() < blocks_.blocks()) own = packed(first + world_.rank(), at);
      });
      const auto all = world_.gather_all("samples", own);
      agree(world_, "keep samples", [&] {
        if (world_.rank() != 0) return;
        for (std::size_t r = 0; r < all.size() && !all[r].empty(); ++r)
          unpack(all[r], first + static_cast<std::int64_t>(r), at, table);
      });
    }
    agree(world_, "finish samples", [&] {
      if (world_.rank() != 0) return;
      // What is published stands beside the states, where a newer start publishes too.
      if (folder_->overtaken()) throw overtaken_error(folder_->run);
      observer_->finish(folder_->steps[at], table);
    });
  }

  void unpack(const std::vector<std::byte>& bytes, std::int64_t number, std::size_t at, ChainTable& table) {
    const auto first = number * config_.call;
    const auto kept = std::min(config_.call, blocks_.count() - first);
    const auto* from = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const auto image_bytes = static_cast<std::int64_t>(sample_bytes(blocks_.image()));
    observer_->add(folder_->steps[at], first, {from, from + kept * image_bytes});
    from += config_.call * image_bytes;
    std::vector<float> column(static_cast<std::size_t>(config_.call));
    for (std::size_t i = 0; i <= at; ++i)
      for (auto* values : columns_of(table)) {
        std::memcpy(column.data(), from, column.size() * sizeof(float));
        from += column.size() * sizeof(float);
        for (std::int64_t c = 0; c < kept; ++c)
          (*values)[static_cast<std::size_t>(first + c) * (at + 1) + i] = column[static_cast<std::size_t>(c)];
      }
  }

  const SampleConfig config_;
  Communicator& world_;
  bool begun_;
  ChainBlocks blocks_;
  const SampleFolderConfig* folder_ = nullptr;
  SampleObserver* observer_ = nullptr;
  std::optional<StopClock> stop_clock_;  // of this run, with what it has seen
  Clock::time_point looked_ = Clock::now();
};

FolderSampling::FolderSampling(const SampleConfig& config, bool begun, Communicator& world)
    : parts_(std::make_unique<Parts>(config, begun, world)) {}
FolderSampling::~FolderSampling() = default;

std::int64_t FolderSampling::chains() const { return parts_->blocks().count(); }
std::string FolderSampling::device() const { return parts_->blocks().device().str(); }

void FolderSampling::keep_energy(const fs::path& file) const { write_weights_file(file, parts_->blocks().parts()); }

ExitCode FolderSampling::run(const SampleFolderConfig& folder, std::size_t finished, SampleObserver& observer) {
  return parts_->run(folder, finished, observer);
}

}  // namespace langrun
