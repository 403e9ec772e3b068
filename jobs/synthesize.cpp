#include "jobs/synthesize.h"

#include "data/synth.h"

namespace langrun {
namespace {

constexpr std::uint64_t kImagesPerRound = 512;

}  // namespace

BuildResult synthesize(Communicator& world, const SynthSettings& settings, const BuildNotes& notes) {
  const auto count = static_cast<std::uint64_t>(settings.count);
  const auto first = share_begin(count, world.rank(), world.size()),
             last = share_begin(count, world.rank() + 1, world.size());
  auto next = first;
  BuildPlan plan;
  plan.out = settings.out;
  plan.rows = count;
  plan.own_first = first;
  plan.own_last = last;
  plan.classes = synthetic_classes();
  plan.record.source = "synthetic";
  plan.record.size = settings.size;
  plan.record.seed = static_cast<std::int64_t>(settings.seed);
  plan.label = [](std::uint64_t row) { return static_cast<std::int64_t>(row % synthetic_classes().size()); };
  plan.produce = [&](ShardWriter& writer) {
    BuildRound round;
    round.first_image = "synthetic image";
    for (; next < last && round.done < kImagesPerRound; ++next, ++round.done)
      writer.put(next - first, {3, settings.size, settings.size},
                 synthetic_image(settings.seed, next, settings.size).pixels);
    round.finished = next == last;
    return round;
  };
  return build_store(world, plan, notes);
}

}  // namespace langrun
