#include "jobs/doctor_verdicts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "jobs/fact.h"

namespace langrun {
namespace {

/// Files that a rank has open beside a connection to every other rank and back.
constexpr double kOwnFiles = 64;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string size_text(double bytes) { return bytes_text(static_cast<std::uint64_t>(std::max(0.0, bytes))); }
std::string rate_text(double rate) { return fmt::format("{:.3g} GB/s", rate / 1e9); }

std::string pairs_text(const std::vector<std::string>& pairs) {
  constexpr std::size_t kNamed = 4;
  const auto count = std::min(kNamed, pairs.size());
  auto text = fmt::format("{}", fmt::join(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(count), "; "));
  if (pairs.size() > count) text += fmt::format(" and {} more", pairs.size() - count);
  return text;
}

}  // namespace

const char* health_name(Health health) {
  return health == Health::ok ? "ok" : health == Health::slow ? "slow" : "broken";
}

ExitCode exit_code(const std::vector<Finding>& findings) {
  for (const auto& finding : findings)
    if (finding.health == Health::broken) return finding.code;
  return ExitCode::done;
}

std::string ranks_text(const std::vector<RankPlace>& ranks) {
  std::vector<std::string> names;
  for (const auto& [host, rank] : ranks) names.push_back(fmt::format("rank {} on {}", rank, host));
  return pairs_text(names);
}

Finding equal_verdict(const std::string& check, const std::vector<std::string>& texts,
                      const std::vector<std::string>& hosts, const std::string& advice, ExitCode code) {
  std::map<std::string, std::vector<RankPlace>> groups;
  for (std::size_t rank = 0; rank < texts.size(); ++rank)
    groups[texts[rank]].push_back({hosts[rank], static_cast<int>(rank)});
  if (groups.size() == 1) return {check, Health::ok, texts.front(), {}};
  // Most are taken to be right.
  const auto common = std::max_element(groups.begin(), groups.end(),
                                       [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  std::vector<std::string> others;
  for (const auto& [text, ranks] : groups)
    if (text != common->first) others.push_back(fmt::format("{} has {}", ranks_text(ranks), text));
  return {check, Health::broken,
          fmt::format("{}; {} others have {}", pairs_text(others), common->second.size(), common->first), advice, code};
}

Finding threads_verdict(const std::vector<CoreReport>& ranks, std::int64_t threads) {
  struct Host {
    std::set<int> cores;
    std::int64_t ranks = 0;
  };
  std::map<std::string, Host> hosts;
  std::vector<RankPlace> bound;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    auto& host = hosts[ranks[rank].host];
    host.cores.insert(ranks[rank].cores.begin(), ranks[rank].cores.end());
    ++host.ranks;
    if (std::ssize(ranks[rank].cores) < threads) bound.push_back({ranks[rank].host, static_cast<int>(rank)});
  }
  if (!bound.empty())
    return {"threads", Health::slow,
            fmt::format("{} threads a rank, and fewer cores to run on: {}", threads, ranks_text(bound)),
            "give each rank its cores: --map-by slot:pe=N or --bind-to none, under Slurm --cpus-per-task"};
  for (const auto& [name, host] : hosts)
    if (host.ranks * threads > std::ssize(host.cores))
      return {"threads", Health::slow,
              fmt::format("{}: {} ranks of {} threads on {} cores", name, host.ranks, threads, host.cores.size()),
              "start fewer ranks or threads on a host: ranks that share a core wait for each other"};
  const auto& [name, host] = *hosts.begin();
  return {"threads",
          Health::ok,
          fmt::format("{} ranks of {} threads on {} cores of {}{}", host.ranks, threads, host.cores.size(), name,
                      hosts.size() > 1 ? ", other hosts likewise" : ""),
          {}};
}

Finding links_verdict(const std::vector<LinkReport>& links, std::int64_t all_pairs, double needed,
                      const DoctorThresholds& thresholds) {
  Finding finding{"links", Health::ok, {}, {}, ExitCode::rank};
  if (all_pairs == 0) return {"links", Health::ok, "one rank, no pairs", {}};
  std::vector<std::string> silent, slow, kinds;
  for (const bool across : {false, true}) {
    std::vector<double> latencies, bandwidths;
    for (const auto& link : links) {
      if ((link.a.host != link.b.host) != across || !link.answered) continue;
      latencies.push_back(link.latency);
      bandwidths.push_back(link.bandwidth);
    }
    const double latency = median(latencies), bandwidth = median(bandwidths);
    if (!latencies.empty())
      kinds.push_back(fmt::format("{}: {:.3g} us, {}", across ? "between hosts" : "within hosts", latency * 1e6,
                                  rate_text(bandwidth)));
    for (const auto& link : links) {
      if ((link.a.host != link.b.host) != across) continue;
      const auto name = fmt::format("ranks {} on {} and {} on {}", link.a.rank, link.a.host, link.b.rank, link.b.host);
      const bool late = link.latency > std::max(thresholds.slow_link * latency, thresholds.least_latency);
      const bool narrow = link.bandwidth * thresholds.slow_link < bandwidth || (across && link.bandwidth < needed);
      if (!link.answered)
        silent.push_back(name);
      else if (late || narrow)
        slow.push_back(fmt::format("{}: {:.3g} us, {}", name, link.latency * 1e6, rate_text(link.bandwidth)));
    }
  }
  finding.found = fmt::format("{} of {} pairs; {}", links.size(), all_pairs, fmt::join(kinds, "; "));
  if (!silent.empty()) {
    finding.health = Health::broken;
    finding.found += fmt::format("; no answer: {}", pairs_text(silent));
    finding.advice =
        "look at these hosts' network and firewall; which interfaces does MPI use (--mca btl_tcp_if_include)?";
  } else if (!slow.empty()) {
    finding.health = Health::slow;
    finding.found += fmt::format("; slow: {}", pairs_text(slow));
    finding.advice =
        needed > 0 ? fmt::format("the plan wants {} between hosts; leave these hosts out, or ask whoever runs them",
                                 rate_text(needed))
                   : "leave these hosts out, or ask whoever runs them";
  }
  return finding;
}

Finding clock_verdict(const std::vector<std::optional<double>>& ahead, const std::vector<std::string>& hosts,
                      const DoctorThresholds& thresholds) {
  std::vector<RankPlace> silent, off;
  double most = 0;
  for (std::size_t rank = 0; rank < ahead.size(); ++rank) {
    if (!ahead[rank]) silent.push_back({hosts[rank], static_cast<int>(rank)});
    const double apart = std::abs(ahead[rank].value_or(0));
    if (apart > thresholds.clock_slow) off.push_back({hosts[rank], static_cast<int>(rank)});
    most = std::max(most, apart);
  }
  if (!silent.empty())
    return {"clocks", Health::broken, fmt::format("no answer: {}", ranks_text(silent)), "look at these hosts",
            ExitCode::rank};
  const auto found = fmt::format("{:.3g} ms apart at most", most * 1e3);
  if (off.empty()) return {"clocks", Health::ok, found, {}};
  return {"clocks", most > thresholds.clock_broken ? Health::broken : Health::slow,
          fmt::format("{}: {}", found, ranks_text(off)),
          "have these hosts' clocks set (chrony, ntpd): files and logs carry their times, and schedulers refuse "
          "strangers' clocks",
          ExitCode::rank};
}

Finding limits_verdict(const std::vector<LimitsReport>& ranks, double memory_needed,
                       const DoctorThresholds& thresholds) {
  const double files = kOwnFiles + 2 * static_cast<double>(ranks.size());
  std::map<std::string, double> on_host;
  for (const auto& rank : ranks) ++on_host[rank.host];
  std::vector<RankPlace> few_files, little_memory, little_shared;
  double least_files = std::numeric_limits<double>::infinity(), least_shared = std::numeric_limits<double>::infinity();
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const auto& rank = ranks[r];
    const RankPlace place{rank.host, static_cast<int>(r)};
    if (rank.open_files < files) few_files.push_back(place);
    if (std::min(rank.address_space, rank.data_segment) < memory_needed) little_memory.push_back(place);
    if (rank.shared_memory < thresholds.shared_memory * on_host[rank.host]) little_shared.push_back(place);
    least_files = std::min(least_files, rank.open_files);
    least_shared = std::min(least_shared, rank.shared_memory);
  }
  const auto number = [](double value) {
    return std::isinf(value) ? std::string("unlimited") : fmt::format("{:.0f}", value);
  };
  if (!few_files.empty())
    return {"limits", Health::broken,
            fmt::format("{} open files allowed, {:.0f} wanted for {} ranks: {}", number(least_files), files,
                        ranks.size(), ranks_text(few_files)),
            fmt::format("ulimit -n {:.0f} before mpirun, on every host", std::max(1024.0, files)), ExitCode::usage};
  if (!little_memory.empty())
    return {
        "limits", Health::broken,
        fmt::format("a rank needs {} and may not have them: {}", size_text(memory_needed), ranks_text(little_memory)),
        "ulimit -v unlimited; ulimit -d unlimited, on every host", ExitCode::usage};
  if (!little_shared.empty())
    return {"limits", Health::slow,
            fmt::format("{} free in /dev/shm: {}", least_shared < 0 ? "nothing" : size_text(least_shared),
                        ranks_text(little_shared)),
            fmt::format("make it larger, {} for each rank of a host (docker: --shm-size)",
                        size_text(thresholds.shared_memory)),
            ExitCode::usage};
  return {"limits",
          Health::ok,
          fmt::format("{} open files, {} free in /dev/shm", number(least_files), size_text(least_shared)),
          {}};
}

Finding memory_verdict(const std::vector<double>& available, const std::vector<std::string>& hosts, double needed) {
  struct Host {
    double available = std::numeric_limits<double>::infinity(), ranks = 0;
  };
  std::map<std::string, Host> by_host;
  for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
    auto& host = by_host[hosts[rank]];
    host.available = std::min(host.available, available[rank]);
    ++host.ranks;
  }
  std::string worst;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, host] : by_host) {
    if (host.available / host.ranks >= least) continue;
    least = host.available / host.ranks;
    worst = fmt::format("{} available for each of {:.0f} ranks on {}", size_text(least), host.ranks, name);
  }
  if (needed <= 0) return {"memory", Health::ok, worst + "; needs not known", "say what a rank needs with --plan"};
  worst += fmt::format(", {} needed", size_text(needed));
  if (least >= needed) return {"memory", Health::ok, worst, {}};
  return {"memory", Health::broken, worst,
          "start fewer ranks on a host, or a smaller bank or lane; libraries' memory is partly shared",
          ExitCode::usage};
}

namespace {

Finding disk_verdict(double write, double read, const FolderNeeds& needs) {
  Finding disk{"disk",
               Health::ok,
               fmt::format("{} written, {} read, all ranks together", rate_text(write), rate_text(read)),
               {}};
  if (needs.write > 0) disk.found += fmt::format("; {} wanted for checkpoints", rate_text(needs.write));
  if (needs.notice > 0) disk.found += fmt::format("; {} wanted for one within a notice", rate_text(needs.notice));
  if (write >= std::max(needs.write, needs.notice)) return disk;
  disk.health = Health::slow;
  disk.advice =
      write < needs.write
          ? "training will wait for checkpoints: take a faster folder, or a larger --checkpoint.every"
          : "a checkpoint takes longer than a scheduler's usual notice: take a faster folder, or ask for more "
            "notice (Slurm: --signal=B:USR1@SECONDS)";
  return disk;
}

}  // namespace

std::vector<Finding> folder_verdicts(const std::vector<FolderReport>& ranks, double free, const FolderNeeds& needs,
                                     double limit, const DoctorThresholds& thresholds) {
  std::vector<Finding> findings;
  std::vector<RankPlace> blind;
  double seen = 0, written = 0, writing = 0, reading = 0;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const auto& rank = ranks[r];
    if (rank.seen < 0) blind.push_back({rank.host, static_cast<int>(r)});
    seen = std::max(seen, rank.seen);
    written += rank.written;
    writing = std::max(writing, rank.write_seconds);
    reading = std::max(reading, rank.read_seconds);
  }
  if (!blind.empty())
    return {{"run folder", Health::broken,
             fmt::format("a file renamed by rank 0 was not seen within {:.3g} s: {}", limit, ranks_text(blind)),
             "is it the same folder there? Mount it on all hosts, without long caching of names (NFS: "
             "lookupcache=positive, actimeo)",
             ExitCode::storage}};
  const bool late = seen > thresholds.rename_slow;
  findings.push_back(
      {"run folder", late ? Health::slow : Health::ok, fmt::format("a rename is seen everywhere within {:.3g} s", seen),
       late ? "a restart on another host may look at old names that long; shorten caching (NFS: actimeo)" : ""});
  Finding space{"free space", Health::ok, size_text(free) + " free", {}, ExitCode::storage};
  if (needs.free <= 0) {
    space.found += "; needs not known";
    space.advice = "say what checkpoints need with --plan or --free";
  } else {
    space.found += fmt::format(", {} needed", size_text(needs.free));
    if (free < needs.free) {
      space.health = Health::broken;
      space.advice = "make room, keep fewer checkpoints (--checkpoint.keep), or take another folder";
    }
  }
  findings.push_back(space);
  const double write = written / std::max(writing, 1e-9), read = written / std::max(reading, 1e-9);
  findings.push_back(disk_verdict(write, read, needs));
  return findings;
}

Finding data_verdict(const std::vector<DataReport>& ranks, double needed) {
  // A step waits for the rank that reads its share last.
  const double share = needed / static_cast<double>(ranks.size());
  std::vector<std::string> summaries, hosts;
  std::vector<RankPlace> late;
  double slowest = std::numeric_limits<double>::infinity();
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const auto& rank = ranks[r];
    summaries.push_back(rank.summary);
    hosts.push_back(rank.host);
    slowest = std::min(slowest, rank.images_a_second);
    if (rank.bytes_a_second < share) late.push_back({rank.host, static_cast<int>(r)});
  }
  auto finding =
      equal_verdict("data", summaries, hosts, "the hosts have different files of this name", ExitCode::input);
  if (finding.health != Health::ok) return finding;
  finding.found += fmt::format("; {:.0f} images a second on the slowest rank", slowest);
  if (needed > 0) finding.found += fmt::format("; {} wanted of each", rate_text(share));
  if (late.empty()) return finding;
  finding.health = Health::slow;
  finding.found += fmt::format(", and less read: {}", ranks_text(late));
  finding.advice = "training will wait for images: put the store on a faster disk, or a copy of it on each host's own";
  return finding;
}

}  // namespace langrun
