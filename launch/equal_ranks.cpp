#include "launch/equal_ranks.h"

#include <fmt/format.h>

#include <sstream>
#include <string>

#include "core/error.h"
#include "distributed/agreement.h"
#include "launch/version.h"

namespace langrun::launch {

void refuse_unequal_ranks(Communicator& world, const OptionTable& table, Versions versions) {
  auto text = versions == Versions::compared ? fmt::format("langrun {} ({})\n", version(), commit()) : "";
  for (const auto& option : table.options()) text += fmt::format("--{} {}\n", option.key, option.get());
  const auto all = by_rank(world, "compare options", text);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    std::istringstream first(all[0]), other(all[rank]);
    std::string here, there;
    while (std::getline(first, here) && std::getline(other, there) && here == there) continue;
    throw Error(ExitCode::usage, fmt::format("rank {} has '{}', and rank 0 '{}'", rank, there, here),
                "start all ranks from the same program, with the same options and configuration files");
  }
}

}  // namespace langrun::launch
