// Instructions that the processor carries out for 64 normals, counted one by one.
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "core/noise_kernels.h"

namespace langrun {
namespace {

/// Instructions of a child process between two signals it sends itself, around the call for `count` normals; -1 where
/// the system lets nobody trace.
std::int64_t instructions(const NoiseKernels& kernels, std::size_t count) {
  std::vector<float> out(count);
  const NoiseCounter at{{1, 2}, 3, {4, 5}};
  const pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
    raise(SIGSTOP);
    kernels.normal(at, out.data(), count);
    raise(SIGSTOP);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFSTOPPED(status)) return -1;
  std::int64_t steps = 0;
  while (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0 && waitpid(child, &status, 0) == child &&
         WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
    ++steps;
  const bool whole = WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return whole ? steps : -1;
}

TEST(Counts, InstructionsFor64Normals) {
  // What GCC 12 makes of the loops at -O3, and a tenth to spare for its sisters.
  const std::map<std::string, std::int64_t> most{{"avx2", 840}, {"avx512", 350}};
  const auto& list = noise_kernels();
  for (int k = 0; k < list.count; ++k) {
    const auto& kernels = list.tables[k];
    if (!most.contains(kernels.name)) continue;
    // The difference of two lengths leaves the loop alone.
    constexpr std::size_t kGroups = 8;
    const auto one = instructions(kernels, 64), more = instructions(kernels, 64 * (1 + kGroups));
    if (one < 0 || more < 0) GTEST_SKIP() << "this system lets no process trace another";
    const auto each = (more - one) / static_cast<std::int64_t>(kGroups);
    RecordProperty(kernels.name, static_cast<int>(each));
    EXPECT_LE(each, most.at(kernels.name)) << kernels.name;
    EXPECT_GT(each, 64) << kernels.name;
  }
}

}  // namespace
}  // namespace langrun
