#include "jobs/bank_share.h"

#include <fmt/format.h>

#include <numeric>

#include "core/error.h"
#include "core/torch.h"
#include "jobs/bank_file.h"

namespace langrun {
namespace {

/// A slot just rejuvenated has had one round when it returns, as the paper counts.
std::int64_t rounds_then(std::int64_t before, bool rejuvenated) { return (rejuvenated ? 0 : before) + 1; }

}  // namespace

BankShare::BankShare(const Lanes& lanes, std::int64_t slots, std::int64_t lane_batch, const ImageShape& image,
                     std::int64_t latent_length)
    : lanes_(lanes), slots_(slots), lane_batch_(lane_batch), image_(image), latent_length_(latent_length) {
  if (slots / lanes.count < lane_batch)
    throw Error(
        ExitCode::usage,
        fmt::format("a bank of {} has {} slots a lane, a step draws {}", slots, slots / lanes.count, lane_batch),
        fmt::format("use --bank.size {} or more", lane_batch * lanes.count));
}

void BankShare::fill(ChainSource& source, NoiseKey key) {
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
    for (std::int64_t i = 0; i < lane_batch_; ++i)
      slots.push_back(static_cast<std::uint64_t>(lanes_.slot(lane, first + i)));
    const auto made = source.fresh(slots, 0, key);
    bank.images.narrow(0, first, count).copy_(made.images.narrow(0, 0, count));
    if (latent_length_ > 0) bank.latents.narrow(0, first, count).copy_(made.latents.narrow(0, 0, count));
  }
  return bank;
}

void BankShare::load(const std::filesystem::path& folder) {
  for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane)
    bank_.push_back(read_bank_lane(folder, lane, lanes_.count, lanes_.rows(lane, slots_), image_, latent_length_));
}

void BankShare::draw(LaneWork& work, std::int64_t step, const RunKeys& keys, const RejuvenationRule& rule,
                     ChainSource& source) {
  const auto& bank = bank_[at(work.lane)];
  work.rows = draw_rows(keys.bank_draw, work.lane, step, bank.rows(), lane_batch_);
  for (const auto row : work.rows) work.slots.push_back(static_cast<std::uint64_t>(lanes_.slot(work.lane, row)));
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

float BankShare::rounds_after(const LaneWork& work) const {
  const auto& updates = bank_[at(work.lane)].updates;
  auto sum = std::accumulate(updates.begin(), updates.end(), std::int64_t{0});
  for (std::size_t i = 0; i < work.rows.size(); ++i) {
    const auto before = updates[static_cast<std::size_t>(work.rows[i])];
    sum += rounds_then(before, work.rejuvenated[i] != 0) - before;
  }
  return static_cast<float>(sum);
}

double BankShare::keep_for_checkpoint(const std::vector<LaneWork>& work) {
  const auto frozen = frozen_.lock();
  double seconds = 0;
  if (frozen)
    for (const auto& lane : work) seconds += frozen->keep(at(lane.lane), lane.rows);
  return seconds;
}

double BankShare::bytes() const {
  return static_cast<double>(slots_) * (4.0 * static_cast<double>(image_.elements() + latent_length_) + 16);
}

}  // namespace langrun
