#include "jobs/lyapunov.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>

#include "core/lyapunov.h"
#include "core/torch.h"
#include "distributed/agreement.h"
#include "jobs/chain_blocks.h"

namespace langrun {
namespace {

class Sweep {
 public:
  Sweep(const LyapunovSettings& settings, Communicator& world) : settings_(settings), blocks_(settings.chains, world) {}

  std::int64_t chains() const { return blocks_.count(); }
  std::int64_t pieces() const { return blocks_.blocks() * static_cast<std::int64_t>(settings_.etas.size()); }

  /// [call, deltas] of piece `number`.
  std::vector<double> measure(std::int64_t number) {
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
    const auto walk = [&gradient](const at::Tensor& x, const LangevinConfig& step, const ChainNoise& noise) {
      return run_langevin(gradient, x, step, noise);
    };
    return lyapunov_exponents(walk, block.chains, config, blocks_.noise(block));
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
    std::vector<double> own;
    agree(world, "measure", [&] {
      if (first + world.rank() < sweep->pieces()) own = sweep->measure(first + world.rank());
    });
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
