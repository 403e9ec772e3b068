#include "jobs/bank_share.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/torch.h"
#include "jobs/bank_file.h"

namespace langrun {
namespace {

/// A slot just rejuvenated has had one round when it returns, as the paper counts.
std::int64_t rounds_then(std::int64_t before, bool rejuvenated) { return (rejuvenated ? 0 : before) + 1; }

}  // namespace

BankShare::BankShare(const Lanes& lanes, std::int64_t slots, std::int64_t lane_batch, const ImageShape& image,
                     std::int64_t latent_length, BankPlace place)
    : lanes_(lanes), slots_(slots), lane_batch_(lane_batch), image_(image), latent_length_(latent_length),
      place_(std::move(place)) {
  if (slots / lanes.count < lane_batch)
    throw Error(
        ExitCode::usage,
        fmt::format("a bank of {} has {} slots a lane, a step draws {}", slots, slots / lanes.count, lane_batch),
        fmt::format("use {} {} or more", place_.option, lane_batch * lanes.count));
}

void BankShare::fill(ChainSource& source, NoiseKey key) {
  bank_.clear();
  for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane)
    bank_.push_back(fill_lane(lane, source, key));
}

// Design invariant 1: in lane-shaped calls, the last one padded, so that every image comes from a call of the one
// shape.
BankLane BankShare::fill_lane(std::int64_t lane, ChainSource& source, NoiseKey key) const {
  const torch::NoGradGuard constant;
  const auto rows = lanes_.rows(lane, slots_);
  auto bank = BankLane::make(rows, image_, latent_length_);
  for (std::int64_t first = 0; first < rows; first += lane_batch_) {
    const auto count = std::min(lane_batch_, rows - first);
    std::vector<std::uint64_t> slots;
    for (std::int64_t i = 0; i < lane_batch_; ++i) slots.push_back(slot(lane, first + i));
    const auto made = source.fresh(slots, 0, key);
    bank.images.narrow(0, first, count).copy_(made.images.narrow(0, 0, count));
    if (latent_length_ > 0) bank.latents.narrow(0, first, count).copy_(made.latents.narrow(0, 0, count));
  }
  return bank;
}

void BankShare::spread_ages(std::int64_t most, NoiseKey key) {
  constexpr std::uint32_t kAge = 4;  // of a slot's uses of its numbers; the others: jobs/chain_starts.cpp
  for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane) {
    auto& ages = bank_[at(lane)].updates;
    for (std::size_t row = 0; row < ages.size(); ++row)
      ages[row] = static_cast<std::int64_t>(
          uniform_integer(key, {chain_identity(slot(lane, static_cast<std::int64_t>(row)), 0), kAge}, 0,
                          static_cast<std::uint64_t>(most) + 1));
  }
}

void BankShare::load(const std::filesystem::path& folder) {
  bank_.clear();
  for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane)
    bank_.push_back(
        read_bank_lane(folder, lane, lanes_.count, lanes_.rows(lane, slots_), image_, latent_length_, place_.group));
}

void BankShare::draw(LaneWork& work, std::int64_t step, const RunKeys& keys, const RejuvenationRule& rule,
                     ChainSource& source) {
  const auto& bank = bank_[at(work.lane)];
  work.rows = draw_rows(keys.bank_draw, place_.first_draw + work.lane, step, bank.rows(), lane_batch_);
  for (const auto row : work.rows) work.slots.push_back(slot(work.lane, row));
  FreshChains chains{bank.take_images(work.rows), bank.take_latents(work.rows)};
  bool any = false;
  work.rejuvenated.resize(work.slots.size());
  for (std::size_t i = 0; i < work.slots.size(); ++i) {
    const auto updates = bank.updates[static_cast<std::size_t>(work.rows[i])];
    work.rejuvenated[i] = rejuvenates(keys.rejuvenation, work.slots[i], step, updates, rule);
    any = any || work.rejuvenated[i];
  }
  if (any) {
    const auto anew = torch::from_blob(work.rejuvenated.data(), {lane_batch_}, torch::kUInt8).to(torch::kBool);
    source.renew(chains, anew, work.slots, step, keys.rejuvenation);
  }
  work.chains = chains.images;
  work.latents = chains.latents;
}

void BankShare::put_back(const LaneWork& work) {
  auto& bank = bank_[at(work.lane)];
  bank.put(work.rows, work.sampled.host, work.host_latents);
  for (std::size_t i = 0; i < work.rows.size(); ++i) {
    const auto row = static_cast<std::size_t>(work.rows[i]);
    bank.updates[row] = rounds_then(bank.updates[row], work.rejuvenated[i] != 0);
    bank.visits[row] += 1;
  }
}

std::vector<std::int64_t> BankShare::rounds_after(const LaneWork& work) const {
  auto rounds = bank_[at(work.lane)].updates;
  for (std::size_t i = 0; i < work.rows.size(); ++i)
    rounds[static_cast<std::size_t>(work.rows[i])] = rounds_after(work, i);
  return rounds;
}

std::int64_t BankShare::rounds_after(const LaneWork& work, std::size_t sample) const {
  const auto before = bank_[at(work.lane)].updates[static_cast<std::size_t>(work.rows[sample])];
  return rounds_then(before, work.rejuvenated[sample] != 0);
}

void BankShare::set_age(const LaneWork& work, std::size_t sample, std::int64_t rounds) {
  bank_[at(work.lane)].updates[static_cast<std::size_t>(work.rows[sample])] = rounds;
}

double BankShare::keep_for_checkpoint(const std::vector<LaneWork>& work) {
  const auto frozen = frozen_.lock();
  double seconds = 0;
  if (frozen)
    for (const auto& lane : work) seconds += frozen->keep(first_frozen_ + at(lane.lane), lane.rows);
  return seconds;
}

double BankShare::bytes() const {
  return static_cast<double>(slots_) * (4.0 * static_cast<double>(image_.elements() + latent_length_) + 16);
}

}  // namespace langrun
