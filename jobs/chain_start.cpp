#include "jobs/chain_start.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "core/error.h"

namespace langrun {
namespace {

constexpr std::array<std::pair<const char*, ChainStart>, 7> kStarts{{
    {"coop-persistent", ChainStart::coop_persistent},
    {"persistent", ChainStart::persistent},
    {"coop", ChainStart::coop},
    {"coop-inference", ChainStart::coop_inference},
    {"data", ChainStart::data},
    {"data-persistent", ChainStart::data_persistent},
    {"noise", ChainStart::noise},
}};

}  // namespace

ChainStart chain_start(const std::string& name) {
  for (const auto& [word, start] : kStarts)
    if (name == word) return start;
  throw Error(ExitCode::usage, fmt::format("unknown chain start '{}'", name));
}

bool uses_generator(ChainStart start) {
  return start == ChainStart::coop_persistent || start == ChainStart::coop || start == ChainStart::coop_inference;
}

bool uses_bank(ChainStart start) {
  return start == ChainStart::coop_persistent || start == ChainStart::persistent ||
         start == ChainStart::data_persistent;
}

}  // namespace langrun
