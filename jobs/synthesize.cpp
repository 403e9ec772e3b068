#include "jobs/synthesize.h"

#include <memory>
#include <span>

#include "core/plane_density.h"
#include "data/synth.h"

namespace langrun {
namespace {

/// Rows of a store from a function of their number.
struct Rows {
  std::string source;
  std::vector<std::string> classes;
  ImageShape shape;
  Pixels pixels = Pixels::bytes;
  std::uint64_t per_round = 512;
  std::function<std::vector<std::uint8_t>(std::uint64_t row)> make = {};
  std::function<std::int64_t(std::uint64_t row)> label = {};
};

Rows image_rows(const SynthSettings& settings) {
  Rows rows{"synthetic", synthetic_classes(), {3, settings.size, settings.size}};
  rows.make = [&settings](std::uint64_t row) { return synthetic_image(settings.seed, row, settings.size).pixels; };
  rows.label = [](std::uint64_t row) { return static_cast<std::int64_t>(row % synthetic_classes().size()); };
  return rows;
}

Rows point_rows(const SynthSettings& settings) {
  const auto density = std::make_shared<PlaneDensity>(settings.density);
  Rows rows{"density " + settings.density, density->modes(), {2, 1, 1}, Pixels::floats, 1 << 16};
  rows.make = [&settings, density](std::uint64_t row) {
    const auto sample = density->sample(settings.seed, row);
    const float point[2] = {sample.x, sample.y};
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(point);
    return std::vector<std::uint8_t>(bytes, bytes + sizeof point);
  };
  rows.label = [&settings, density](std::uint64_t row) {
    return static_cast<std::int64_t>(density->sample(settings.seed, row).mode);
  };
  return rows;
}

}  // namespace

BuildResult synthesize(Communicator& world, const SynthSettings& settings, const BuildNotes& notes) {
  const auto rows = settings.density.empty() ? image_rows(settings) : point_rows(settings);
  const auto count = static_cast<std::uint64_t>(settings.count);
  const auto first = share_begin(count, world.rank(), world.size()),
             last = share_begin(count, world.rank() + 1, world.size());
  auto next = first;
  BuildPlan plan;
  plan.out = settings.out;
  plan.rows = count;
  plan.own_first = first;
  plan.own_last = last;
  plan.classes = rows.classes;
  plan.pixels = rows.pixels;
  plan.record.source = rows.source;
  plan.record.size = settings.density.empty() ? settings.size : 0;
  plan.record.seed = static_cast<std::int64_t>(settings.seed);
  plan.label = rows.label;
  plan.produce = [&](ShardWriter& writer) {
    BuildRound round;
    round.first_image = rows.source + " image";
    for (; next < last && round.done < rows.per_round; ++next, ++round.done)
      writer.put(next - first, rows.shape, rows.make(next));
    round.finished = next == last;
    return round;
  };
  return build_store(world, plan, notes);
}

}  // namespace langrun
