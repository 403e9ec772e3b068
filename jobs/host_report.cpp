#include "jobs/host_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/device.h"

namespace langrun {
namespace {

double soft_limit(__rlimit_resource which) {
  rlimit limit{};
  if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::numeric_limits<double>::infinity();
  return static_cast<double>(limit.rlim_cur);
}

/// A number alone in a file; nothing where it holds none ("max").
double number_in(const std::filesystem::path& path, double otherwise) {
  std::ifstream in(path);
  double value = 0;
  return in >> value ? value : otherwise;
}

double free_in_group() {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::")) continue;
    // Inside a container the file names a place that may not be there; its own root then is.
    for (const auto& folder :
         {std::filesystem::path("/sys/fs/cgroup" + line.substr(3)), std::filesystem::path("/sys/fs/cgroup")}) {
      const double most = number_in(folder / "memory.max", kNone);
      if (most < kNone) return std::max(0.0, most - number_in(folder / "memory.current", 0));
    }
  }
  return kNone;
}

/// "AuthenticAMD family 25 model 1 (instructions 0f3a19c2), ": the libraries choose their code by more than the sets of
/// instructions that we use ourselves. What the kernel adds to the flags, against faults of processors, is left out.
std::string model_of_processor() {
  std::ifstream info("/proc/cpuinfo");
  std::map<std::string, std::string> first;
  for (std::string line; std::getline(info, line) && !line.empty();) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || colon + 2 > line.size()) continue;
    first[line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1)] = line.substr(colon + 2);
  }
  if (!first.contains("vendor_id")) return {};
  std::set<std::string> sets;
  std::istringstream flags(first["flags"]);
  for (std::string flag; flags >> flag;)
    for (const auto* kind : {"sse", "ssse", "avx", "fma", "f16c", "bmi", "amx", "xop"})
      if (flag.starts_with(kind)) sets.insert(flag);
  return fmt::format("{} family {} model {} (instructions {}), ", first["vendor_id"], first["cpu family"],
                     first["model"], checksum_of_text(fmt::format("{}", fmt::join(sets, " "))).substr(0, 8));
}

}  // namespace

std::string processor_features() {
  const auto products = products_of_sampling("bf16", at::kCPU);
#if defined(__x86_64__)
  std::string features;
  const auto add = [&](const char* name, bool there) {
    if (there) features += fmt::format("{}{}", features.empty() ? "" : " ", name);
  };
  add("avx2", __builtin_cpu_supports("avx2") != 0);
  add("fma", __builtin_cpu_supports("fma") != 0);
  add("avx512f", __builtin_cpu_supports("avx512f") != 0);
  add("avx512bw", __builtin_cpu_supports("avx512bw") != 0);
  add("avx512vl", __builtin_cpu_supports("avx512vl") != 0);
  return fmt::format("{}{}, {}", model_of_processor(), features.empty() ? "x86-64" : features, products);
#else
  return "not x86-64, " + products;
#endif
}

std::vector<int> allowed_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

double available_memory() {
  double host = 0;
  std::ifstream info("/proc/meminfo");
  for (std::string word; info >> word;)
    if (word == "MemAvailable:") {
      info >> host;
      break;
    }
  return std::min(host * 1024, free_in_group());
}

LimitsReport process_limits() {
  LimitsReport report;
  report.host = host_name();
  report.open_files = soft_limit(RLIMIT_NOFILE);
  report.address_space = soft_limit(RLIMIT_AS);
  report.data_segment = soft_limit(RLIMIT_DATA);
  struct statvfs shared {};
  report.shared_memory = statvfs("/dev/shm", &shared) == 0
                             ? static_cast<double>(shared.f_bavail) * static_cast<double>(shared.f_frsize)
                             : -1;
  return report;
}

}  // namespace langrun
