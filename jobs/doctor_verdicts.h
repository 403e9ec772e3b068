// From what the ranks of a job found to one line a check: ok, slow or broken, what was found, what to do. No rank is
// asked here, so all of them come to the same verdicts from the same reports.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"

namespace langrun {

enum class Health { ok, slow, broken };
/// "ok", "slow", "broken"
const char* health_name(Health health);

/// One line.
struct Finding {
  std::string check;  ///< "versions", "links", ...
  Health health = Health::ok;
  std::string found;
  std::string advice;              ///< what to do; empty where all is well
  ExitCode code = ExitCode::done;  ///< what the program ends with where it is broken
};

/// The exit code of a list: that of its first broken check, else done.
ExitCode exit_code(const std::vector<Finding>& findings);

/// Where verdicts turn.
struct DoctorThresholds {
  double slow_link = 2;         ///< a pair this many times slower than the median of its kind is named
  double least_latency = 5e-5;  ///< seconds: quicker is never slow
  double rename_slow = 1;       ///< seconds until a renamed file is seen
  double clock_slow = 0.1;      ///< seconds between clocks
  double clock_broken = 60;
  double shared_memory = 16e6;  ///< bytes of /dev/shm for each rank of a host
};

/// Host and rank of a report, for messages.
struct RankPlace {
  std::string host;
  int rank = 0;
};
/// "rank 3 on host-b"; of several, at most four of them and how many more.
std::string ranks_text(const std::vector<RankPlace>& ranks);

/// One text a rank that should be the same everywhere. `what` and `advice` are the check's; `texts` by rank.
Finding equal_verdict(const std::string& check, const std::vector<std::string>& texts,
                      const std::vector<std::string>& hosts, const std::string& advice, ExitCode code);

/// Cores that a rank may use, by number.
struct CoreReport {
  std::string host;
  std::vector<int> cores;
};
/// Each rank wants `threads` of them, which no other rank of its host has.
Finding threads_verdict(const std::vector<CoreReport>& ranks, std::int64_t threads);

/// One pair that was measured.
struct LinkReport {
  RankPlace a, b;
  bool answered = true;
  double latency = 0, bandwidth = 0;  ///< seconds; bytes a second
};
/// Pairs of one host and pairs across hosts are held against their own medians, the latter against `needed` bytes a
/// second, too (0: nothing is needed). `all_pairs`: of the job.
Finding links_verdict(const std::vector<LinkReport>& links, std::int64_t all_pairs, double needed,
                      const DoctorThresholds& thresholds);

/// Seconds that each rank's clock is ahead of rank 0's; nothing where it did not answer.
Finding clock_verdict(const std::vector<std::optional<double>>& ahead, const std::vector<std::string>& hosts,
                      const DoctorThresholds& thresholds);

/// One rank's limits.
struct LimitsReport {
  std::string host;
  double open_files = 0, address_space = 0, data_segment = 0;  ///< soft limits; infinity: none
  double shared_memory = 0;                                    ///< bytes free in /dev/shm; negative: there is none
};
Finding limits_verdict(const std::vector<LimitsReport>& ranks, double memory_needed,
                       const DoctorThresholds& thresholds);

/// Memory of each rank's host that is available, bytes, and what a rank needs (0: not known).
Finding memory_verdict(const std::vector<double>& available, const std::vector<std::string>& hosts, double needed);

/// What a rank saw of the run folder, which all could write.
struct FolderReport {
  std::string host;
  double seen = 0;  ///< seconds from a rename until this rank saw it; negative: it did not
  double written = 0, write_seconds = 0, read_seconds = 0;  ///< bytes, seconds
};
struct FolderNeeds {
  double free = 0;    ///< bytes, 0: not known
  double write = 0;   ///< bytes a second of all ranks, for a checkpoint before the next is due; 0: not known
  double notice = 0;  ///< the same, for one within a scheduler's notice
};
/// Three lines: whether all see renames at once, free space, rates; one, where they do not.
std::vector<Finding> folder_verdicts(const std::vector<FolderReport>& ranks, double free, const FolderNeeds& needs,
                                     double limit, const DoctorThresholds& thresholds);

/// What a rank says of the data, once it has read some.
struct DataReport {
  std::string host, summary;
  double images_a_second = 0;
  double bytes_a_second = 0;  ///< of these images
};
/// `needed`: bytes a second of images that all ranks together read, each its share; 0: not known.
Finding data_verdict(const std::vector<DataReport>& ranks, double needed);

}  // namespace langrun
