#include "jobs/plan_memory.h"

#include <algorithm>
#include <bit>

#include "distributed/lanes.h"
#include "jobs/snapshot_memory.h"

namespace langrun {
namespace {

/// Batches of images that a rank's loader holds: two ahead, one being read, one in use.
constexpr double kBatches = 4;
/// Bytes of the copies of a slot's ages while a checkpoint is written.
constexpr double kFrozenSlot = 20;
/// The writing thread and the one behind it come anew for each checkpoint and take turns at two heaps of their own,
/// each of which keeps the pieces that it once had.
constexpr double kArenas = 2;
/// What MPI takes on a rank beside messages: its own state, and the shared memory of ranks on one host.
constexpr double kMpi = 12 << 20;

double image_bytes(const RankNeeds& needs) { return 4.0 * static_cast<double>(needs.image.elements()); }
double lane_bytes(const RankNeeds& needs) { return image_bytes(needs) * static_cast<double>(needs.lane_batch); }

std::int64_t rows_of_rank(const BankNeeds& bank, const RankNeeds& needs) {
  const Lanes lanes{needs.lanes, 0, needs.owned};
  std::int64_t rows = 0;
  for (std::int64_t lane = 0; lane < needs.owned; ++lane) rows += lanes.rows(lane, bank.slots);
  return rows;
}

double slot_bytes(const BankNeeds& bank, const RankNeeds& needs) {
  return image_bytes(needs) + 4.0 * static_cast<double>(bank.latent);
}

// design.md's tree: the vector of the last lane, and one for each level of this rank's subtree; and the other ranks'
// slices of what this rank adds.
MemoryUse reduction(const RankNeeds& needs) {
  MemoryUse sum;
  const double levels = std::bit_width(static_cast<std::uint64_t>(needs.owned)) - 1;
  for (const double numbers : needs.gradients) {
    sum = sum + MemoryUse::blocks(4 * numbers, levels + 1);
    if (needs.ranks > 1)
      sum.heap += 4 * numbers * static_cast<double>(needs.ranks - 1) / static_cast<double>(needs.ranks);
  }
  return sum;
}

// As jobs/snapshot.cpp shares it out: a tenth of the rank's lanes, of which rows are kept aside as the next step draws
// them.
MemoryUse bank_snapshot(const RankNeeds& needs) {
  double bank = 0, rows = 0, latents = 0, largest_slot = 0;
  for (const auto& one : needs.banks) {
    const auto own = static_cast<double>(rows_of_rank(one, needs));
    bank += own * slot_bytes(one, needs);
    rows += own;
    latents = std::max(latents, own / static_cast<double>(needs.owned) * 4.0 * static_cast<double>(one.latent));
    largest_slot = std::max(largest_slot, slot_bytes(one, needs));
  }
  if (rows == 0) return {};
  const double pieces = static_cast<double>(piece_memory(static_cast<std::size_t>(bank)));
  const double room = std::max(0.0, bank / 10 - pieces - latents);
  const double drawn = static_cast<double>(needs.owned * needs.lane_batch) * static_cast<double>(needs.banks.size());
  const MemoryUse rest{kArenas * pieces + latents + rows * kFrozenSlot, 0};
  // Of a mapped block only what was touched counts; one of the heap lies where others were.
  if (room < static_cast<double>(kMappedFrom)) return rest + MemoryUse{room, 0};
  return rest + MemoryUse{0, std::min(room, drawn * largest_slot)};
}

// Chains of a panel's images in lane-shaped calls, their starts, both joined, and each panel as plain numbers.
MemoryUse pictures(const RankNeeds& needs) {
  const double panel = image_bytes(needs) * static_cast<double>(needs.pictured);
  const auto calls = static_cast<double>((needs.pictured + needs.lane_batch - 1) / needs.lane_batch);
  const auto shown = MemoryUse::blocks(panel, needs.panels + 1);
  if (!needs.pictures_of_chains) return shown;
  const double made = calls * lane_bytes(needs);
  return largest(
      shown, MemoryUse::blocks(lane_bytes(needs), 2 * calls) + MemoryUse::blocks(made) + MemoryUse::blocks(panel, 3));
}

MemoryUse lane_images(const RankNeeds& needs, double each) {
  return MemoryUse::blocks(lane_bytes(needs), each * static_cast<double>(needs.owned));
}

MemoryUse banks(const RankNeeds& needs) {
  MemoryUse sum;
  for (const auto& bank : needs.banks) sum = sum + bank_of_rank(bank, needs);
  return sum;
}

MemoryUse without_negative(const MemoryUse& use) { return {std::max(0.0, use.heap), std::max(0.0, use.mapped)}; }

}  // namespace

MemoryUse bank_of_rank(const BankNeeds& bank, const RankNeeds& needs) {
  const Lanes lanes{needs.lanes, 0, needs.owned};
  MemoryUse sum;
  for (std::int64_t lane = 0; lane < needs.owned; ++lane) {
    const auto rows = static_cast<double>(lanes.rows(lane, bank.slots));
    sum = sum + MemoryUse::blocks(rows * image_bytes(needs)) +
          MemoryUse::blocks(rows * 4 * static_cast<double>(bank.latent)) + MemoryUse::blocks(rows * 8, 2);
  }
  return sum;
}

RankMemory memory_of(const RankNeeds& needs) {
  // Phases come one after the other: of the heap the largest counts, and of mapped blocks, each for itself.
  const auto while_sampling = lane_images(needs, needs.sampling_images) + needs.sampling;
  const auto while_learning = lane_images(needs, needs.update_images) + largest(needs.update, needs.apply);
  const auto others = largest(while_sampling, while_learning);
  const auto most = largest(others, pictures(needs));
  const auto images = lane_images(needs, std::max(needs.sampling_images, needs.update_images));
  const auto beside = without_negative({most.heap - images.heap, most.mapped - images.mapped});

  const double loader = kBatches * lane_bytes(needs) / 4 * static_cast<double>(needs.owned);
  const auto spare = bank_snapshot(needs);
  const double weights_copied = needs.copies.total() + kArenas * static_cast<double>(kMostPieceMemory);
  RankMemory memory;
  const auto add = [&](const char* name, double bytes, bool on_gpu = false) {
    if (bytes > 0) memory.parts.push_back({name, bytes, on_gpu});
  };
  add(kLibrariesPart, needs.libraries + (needs.ranks > 1 ? kMpi : 0));
  add("weights", needs.weights.total(), needs.gpu);
  add("optimiser", needs.optimizer.total(), needs.gpu);
  add("gradients exchanged", reduction(needs).total());
  add("sampler", needs.gpu ? needs.gpu_sampler.total() : needs.sampler, needs.gpu);
  add(kBankPart, banks(needs).total());
  add("images of a step", images.total() + loader, needs.gpu);
  add("activations", beside.total(), needs.gpu);
  add("checkpoint", spare.total() + weights_copied);
  // By then what was mapped is given back, and what the heap had is still there.
  const auto mapped = banks(needs).mapped + most.mapped + spare.mapped + needs.weights.mapped + needs.optimizer.mapped +
                      needs.copies.mapped + reduction(needs).mapped;
  add("libraries, at the end", needs.exit - mapped);
  memory.other_ranks_less = weights_copied + most.total() - others.total();
  return memory;
}

}  // namespace langrun
