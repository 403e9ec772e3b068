#include "jobs/lyapunov.h"

#include <fmt/format.h>

#include <cstring>
#include <exception>
#include <optional>

#include "core/lyapunov.h"
#include "core/torch.h"
#include "distributed/agreement.h"
#include "jobs/chain_blocks.h"

namespace langrun {
namespace {

/// Steps after which ranks meet. A step is of all separations, so a few of them take as long as ChainBlocks::kPiece
/// steps of chains alone.
constexpr std::int64_t kPiece = 2;

/// Where ranks meet while each measures a piece of its own, so that none waits for a whole walk: the watchdog would
/// take the others for lost. Every rank comes to each meeting, be it with nothing to measure.
class Meetings {
 public:
  Meetings(Communicator& world, std::int64_t steps) : world_(world), left_((steps + kPiece - 1) / kPiece) {}

  /// Before each step of who measures. Throws where another rank has failed.
  void before_step() {
    if (step_ > 0 && step_ % kPiece == 0) meet();
    ++step_;
  }
  /// The meetings that are left, with the error of who could not go on, which is all ranks' then.
  void finish(const std::exception_ptr& failure) {
    failure_ = failure;
    while (left_ > 0) meet();
  }
  /// Whether all ranks have failed together: then there is nobody left to tell.
  bool failed() const { return failed_; }

 private:
  void meet() {
    --left_;
    failed_ = true;
    agree(world_, "measure", [&] {
      if (failure_) std::rethrow_exception(failure_);
    });
    failed_ = false;
  }

  Communicator& world_;
  std::int64_t left_, step_ = 0;
  std::exception_ptr failure_;
  bool failed_ = false;
};

class Sweep {
 public:
  Sweep(const LyapunovSettings& settings, Communicator& world) : settings_(settings), blocks_(settings.chains, world) {}

  std::int64_t chains() const { return blocks_.count(); }
  std::int64_t pieces() const { return blocks_.blocks() * static_cast<std::int64_t>(settings_.etas.size()); }
  std::int64_t steps() const { return settings_.burn_in + settings_.steps; }

  /// [call, deltas] of piece `number`; of no length where there is no such piece. Collective, all ranks.
  std::vector<double> measure(std::int64_t number, Communicator& world) {
    world.enter(fmt::format("piece {} of {}", number + 1, pieces()));
    Meetings meetings(world, steps());
    std::vector<double> measured;
    std::exception_ptr failure;
    try {
      if (number < pieces()) measured = walk(number, meetings);
    } catch (...) {
      if (meetings.failed()) throw;
      failure = std::current_exception();
    }
    meetings.finish(failure);
    return measured;
  }

  /// Puts what was measured in its place.
  void take(std::int64_t number, const std::vector<double>& measured, LyapunovResult& result) const {
    const auto first = number % blocks_.blocks() * settings_.chains.call;
    const auto kept = std::min(settings_.chains.call, chains() - first);
    const auto deltas = settings_.deltas.size();
    for (std::int64_t c = 0; c < kept; ++c)
      for (std::size_t d = 0; d < deltas; ++d)
        result.exponents[(eta_of(number) * deltas + d) * static_cast<std::size_t>(chains()) +
                         static_cast<std::size_t>(first + c)] = measured[static_cast<std::size_t>(c) * deltas + d];
  }

 private:
  // lyapunov_exponents asks for one step at a time, between which there is time to meet.
  std::vector<double> walk(std::int64_t number, Meetings& meetings) {
    const auto block = blocks_.begin(number % blocks_.blocks());
    LyapunovConfig config{settings_.chains.langevin.eta,
                          blocks_.energy().temperature(),
                          settings_.etas[eta_of(number)],
                          settings_.deltas,
                          settings_.burn_in,
                          settings_.steps,
                          block.number * settings_.chains.call};
    // Not the sampler's own walk, which would take the step's temperature for the one that chains are sampled at.
    const auto gradient = [this](const at::Tensor& x) { return blocks_.sampler().gradient(x); };
    const auto walk = [&](const at::Tensor& x, const LangevinConfig& step, const ChainNoise& noise) {
      meetings.before_step();
      return run_langevin(gradient, x, step, noise);
    };
    return lyapunov_exponents(walk, block.chains, config, blocks_.noise(block));
  }

  std::size_t eta_of(std::int64_t number) const { return static_cast<std::size_t>(number / blocks_.blocks()); }

  const LyapunovSettings& settings_;
  ChainBlocks blocks_;
};

std::vector<double> as_doubles(const std::vector<std::byte>& bytes) {
  std::vector<double> values(bytes.size() / sizeof(double));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

LyapunovResult measure_lyapunov(const LyapunovSettings& settings, Communicator& world,
                                const LyapunovProgress& progress) {
  std::optional<Sweep> sweep;
  agree(world, "set up", [&] { sweep.emplace(settings, world); });
  LyapunovResult result;
  result.chains = sweep->chains();
  const auto measures = settings.etas.size() * settings.deltas.size();
  result.exponents.resize(measures * static_cast<std::size_t>(result.chains));
  for (std::int64_t first = 0; first < sweep->pieces(); first += world.size()) {
    const auto own = sweep->measure(first + world.rank(), world);
    const auto all = world.gather_all("exponents", std::as_bytes(std::span(own)));
    for (std::size_t r = 0; r < all.size() && !all[r].empty(); ++r)
      sweep->take(first + static_cast<std::int64_t>(r), as_doubles(all[r]), result);
    if (world.rank() == 0) progress(std::min(first + world.size(), sweep->pieces()), sweep->pieces());
  }
  for (std::size_t i = 0; i < measures; ++i)
    result.intervals.push_back(mean_interval(
        std::span(result.exponents)
            .subspan(i * static_cast<std::size_t>(result.chains), static_cast<std::size_t>(result.chains))));
  return result;
}

}  // namespace langrun
