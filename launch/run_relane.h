// langrun run relane: a run with another number of lanes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace langrun::launch {

/// What was made.
struct Relaned {
  std::int64_t step = 0;        ///< of the checkpoint it goes on from
  std::int64_t lanes_then = 0;  ///< of the run it came from
  std::size_t bank_files = 0;
};

/// Makes the folder `to` (which may end in a slash) a run like `from`, with `lanes` lanes, that goes on from its newest
/// good checkpoint, with a warning of newer ones that are damaged: the same weights and optimiser, every slot of its
/// banks with all it holds, its metrics up to there. `from` is only read. Its further course has other bits: which
/// slots and images are drawn together depends on the lanes. One process. Throws Error(usage) for lanes that do not
/// divide the batch, are no power of two, or leave a lane fewer slots than it draws, or where `to` is there;
/// Error(input), Error(storage).
Relaned relane(const std::filesystem::path& from, const std::filesystem::path& to, std::int64_t lanes,
               const std::vector<std::string>& command);

}  // namespace langrun::launch
