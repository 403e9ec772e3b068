#include "distributed/lanes.h"

#include <fmt/format.h>

#include <bit>

#include "core/error.h"

namespace langrun {

Lanes lanes_of(std::int64_t count, int rank, int ranks) {
  if (count < 1 || !std::has_single_bit(static_cast<std::uint64_t>(count)))
    throw Error(ExitCode::usage, fmt::format("{} lanes: expected a power of two", count),
                "lanes are halves of halves of the batch; 8 is the default");
  if (ranks > count || count % ranks != 0)
    throw Error(ExitCode::usage, fmt::format("{} ranks do not divide {} lanes", ranks, count),
                fmt::format("run on 1, 2, 4 ... up to {} ranks, or start a run with more --lanes", count));
  const auto owned = count / ranks;
  return {count, rank * owned, owned};
}

std::int64_t lane_batch(std::int64_t batch, std::int64_t count) {
  if (batch < count || batch % count != 0)
    throw Error(ExitCode::usage, fmt::format("a batch of {} is not divisible by {} lanes", batch, count),
                fmt::format("use --batch {} or another --lanes", (batch / count + 1) * count));
  return batch / count;
}

}  // namespace langrun
