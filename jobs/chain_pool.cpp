#include "jobs/chain_pool.h"

#include <algorithm>

#include "core/torch.h"

namespace langrun {

std::int64_t steps_of_round(std::int64_t steps, std::int64_t about) {
  if (steps <= about) return std::max<std::int64_t>(steps, 1);
  const auto waste = [&](std::int64_t round) { return (steps + round - 1) / round * round - steps; };
  std::int64_t best = about;
  // Near `about`, and among those the one that wastes least.
  for (auto round = std::max<std::int64_t>(about / 2, 1); round <= std::min<std::int64_t>(2 * about, 64); ++round) {
    const auto now = waste(round), before = waste(best);
    if (now < before || (now == before && std::abs(round - about) < std::abs(best - about))) best = round;
  }
  return best;
}

ChainPool::ChainPool(ChainSampler& sampler, CurvatureProduct curvature, const ChainPoolConfig& config)
    : sampler_(sampler), curvature_(std::move(curvature)), config_(config) {}

std::int64_t ChainPool::rounds() const { return (config_.langevin.steps + config_.round - 1) / config_.round; }

void ChainPool::advance(const std::vector<PooledChain*>& chains) {
  const torch::NoGradGuard constant;
  std::vector<PooledChain*> on, back;
  for (auto* chain : chains) (chain->cotangent.defined() ? back : on).push_back(chain);
  forwards(packs(on));
  for (const auto& pack : packs(back)) backwards(pack);
}

std::vector<ChainPool::Pack> ChainPool::packs(const std::vector<PooledChain*>& chains) const {
  std::vector<Pack> packs;
  const auto call = static_cast<std::size_t>(config_.call);
  for (std::size_t first = 0; first < chains.size(); first += call) {
    const auto end = std::min(first + call, chains.size());
    packs.emplace_back(chains.begin() + static_cast<std::ptrdiff_t>(first),
                       chains.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return packs;
}

// Places that nobody takes hold the first chain again; nothing comes of them.
at::Tensor ChainPool::stacked(const Pack& pack, at::Tensor PooledChain::*field) const {
  std::vector<at::Tensor> images;
  for (std::int64_t b = 0; b < config_.call; ++b)
    images.push_back((pack[b < static_cast<std::int64_t>(pack.size()) ? static_cast<std::size_t>(b) : 0])->*field);
  return at::cat(images).contiguous(at::MemoryFormat::ChannelsLast);
}

ChainNoise ChainPool::noise_of(const Pack& pack) const {
  ChainNoise noise{.key = config_.key, .identities = {}};
  noise.end_step = static_cast<std::uint32_t>(config_.langevin.steps);
  const auto call = static_cast<std::size_t>(config_.call);
  noise.identities.resize(call);
  noise.first_steps.assign(call, noise.end_step);
  for (std::size_t b = 0; b < pack.size(); ++b) {
    noise.identities[b] = pack[b]->identity;
    noise.first_steps[b] = static_cast<std::uint32_t>(pack[b]->step);
  }
  return noise;
}

void ChainPool::forwards(const std::vector<Pack>& packs) {
  auto piece = config_.langevin;
  std::vector<SampledChains> sampled;
  for (const auto& pack : packs) {
    std::int64_t longest = 0, moves = 0;
    for (auto* chain : pack) {
      if (chain->pathwise) chain->trail.push_back(chain->x);
      const auto left = std::min(config_.round, config_.langevin.steps - chain->step);
      longest = std::max(longest, left);
      moves += left;
    }
    piece.steps = longest;
    sampled.push_back(sampler_.start(stacked(pack, &PooledChain::x), piece, noise_of(pack)));
    counts_.calls += static_cast<std::uint64_t>(longest);
    counts_.moves += static_cast<std::uint64_t>(moves);
    counts_.waiting += static_cast<std::uint64_t>(longest * config_.call - moves);
  }
  sampler_.finish();
  for (std::size_t p = 0; p < packs.size(); ++p) {
    const auto first = sampled[p].record.first_energy.cpu(), last = sampled[p].record.last_energy.cpu();
    for (std::size_t b = 0; b < packs[p].size(); ++b) {
      auto& chain = *packs[p][b];
      const auto row = static_cast<std::int64_t>(b);
      // A copy: a view would keep the whole call's memory as long as the chain's.
      chain.x = sampled[p].chains.narrow(0, row, 1).clone(at::MemoryFormat::ChannelsLast);
      if (chain.step == 0) chain.first_energy = first[row].item<float>();
      chain.last_energy = last[row].item<float>();
      chain.step = std::min(chain.step + config_.round, config_.langevin.steps);
    }
  }
}

// The states of a round again, from the one that was kept: in the shape of the first pass and with the same keyed
// noise, so with the same bits.
std::vector<at::Tensor> ChainPool::replayed(const Pack& pack, const std::vector<std::int64_t>& starts,
                                            std::int64_t steps) {
  auto noise = noise_of(pack);
  for (std::size_t b = 0; b < pack.size(); ++b) noise.first_steps[b] = static_cast<std::uint32_t>(starts[b]);
  auto one = config_.langevin;
  one.steps = 1;
  std::vector<at::Tensor> states{stacked(pack, &PooledChain::x)};
  for (std::int64_t k = 1; k < steps; ++k) {
    states.push_back(sampler_.run(states.back(), one, noise));
    ++counts_.calls;
    for (auto& step : noise.first_steps) step = std::min(step + 1, noise.end_step);
  }
  return states;
}

void ChainPool::backwards(const Pack& pack) {
  ChainPiece piece;
  std::vector<std::int64_t> starts;
  piece.made.assign(static_cast<std::size_t>(config_.call), 0);
  std::int64_t longest = 0;
  for (std::size_t b = 0; b < pack.size(); ++b) {
    auto& chain = *pack[b];
    starts.push_back((static_cast<std::int64_t>(chain.trail.size()) - 1) * config_.round);
    piece.made[b] = std::min(config_.round, config_.langevin.steps - starts.back());
    longest = std::max(longest, piece.made[b]);
    chain.x = chain.trail.back();
    chain.trail.pop_back();
  }
  piece.states = replayed(pack, starts, longest);
  const auto pulled =
      pull_back(piece, stacked(pack, &PooledChain::cotangent), config_.langevin.gradient_weight(), curvature_);
  counts_.curvature += static_cast<std::uint64_t>(longest);
  for (std::size_t b = 0; b < pack.size(); ++b)
    pack[b]->cotangent = pulled.narrow(0, static_cast<std::int64_t>(b), 1).clone(at::MemoryFormat::ChannelsLast);
}

}  // namespace langrun
