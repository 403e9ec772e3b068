#include "jobs/doctor_links.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

namespace langrun {

std::string link_text(int partner, const std::optional<Link>& link) {
  const auto seen = link.value_or(Link{});
  return fmt::format("{} {} {} {} ", partner, link ? 1 : 0, seen.latency, seen.bandwidth);
}

std::vector<LinkReport> links_of(const std::vector<std::string>& texts, const std::vector<std::string>& hosts) {
  std::map<std::pair<int, int>, LinkReport> links;
  for (int rank = 0; rank < std::ssize(texts); ++rank) {
    std::istringstream in(texts[static_cast<std::size_t>(rank)]);
    int partner = 0, answered = 0;
    for (double latency = 0, bandwidth = 0; in >> partner >> answered >> latency >> bandwidth;) {
      const int a = std::min(rank, partner), b = std::max(rank, partner);
      // Texts come in the order of ranks, so the lower one's is there first.
      const auto [link, fresh] = links.try_emplace({a, b});
      if (fresh)
        link->second = {
            {hosts[static_cast<std::size_t>(a)], a}, {hosts[static_cast<std::size_t>(b)], b}, true, latency, bandwidth};
      link->second.answered = link->second.answered && answered != 0;
    }
  }
  std::vector<LinkReport> all;
  for (const auto& [pair, link] : links) all.push_back(link);
  return all;
}

}  // namespace langrun
