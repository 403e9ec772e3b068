// Verdicts of `doctor` from reports that no machine has to give, and who meets whom.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "distributed/tournament.h"
#include "jobs/doctor_links.h"
#include "jobs/doctor_verdicts.h"

namespace langrun {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

TEST(Tournament, EveryPairMeetsOnceAndNobodyIsInTwoPlaces) {
  for (const int ranks : {1, 2, 3, 4, 5, 7, 8, 12, 33, 64}) {
    std::set<std::pair<int, int>> met;
    for (int round = 0; round < tournament_rounds(ranks); ++round) {
      for (int rank = 0; rank < ranks; ++rank) {
        const int partner = tournament_partner(ranks, round, rank);
        if (partner < 0) continue;
        ASSERT_NE(partner, rank);
        ASSERT_EQ(tournament_partner(ranks, round, partner), rank) << ranks << " ranks, round " << round;
        if (rank < partner) {
          EXPECT_TRUE(met.emplace(rank, partner).second) << "met twice";
        }
      }
    }
    EXPECT_EQ(static_cast<int>(met.size()), ranks * (ranks - 1) / 2) << ranks;
  }
}

TEST(Tournament, FewerRoundsAreSpread) {
  EXPECT_EQ(chosen_rounds(4, 63), (std::vector<int>{0, 1, 2}));
  EXPECT_TRUE(chosen_rounds(1, 63).empty());
  const auto some = chosen_rounds(1024, 63);
  ASSERT_EQ(some.size(), 63U);
  EXPECT_TRUE(std::is_sorted(some.begin(), some.end()));
  EXPECT_EQ(std::set<int>(some.begin(), some.end()).size(), some.size());
  EXPECT_GT(some.back(), 950);
  EXPECT_LT(some.back(), tournament_rounds(1024));
}

TEST(DoctorVerdicts, WhatDiffersIsNamedByRankAndHost) {
  const std::vector<std::string> hosts{"a", "a", "b", "b"};
  EXPECT_EQ(equal_verdict("versions", {"1", "1", "1", "1"}, hosts, "x", ExitCode::usage).health, Health::ok);
  const auto finding = equal_verdict("versions", {"1", "1", "1", "2"}, hosts, "do this", ExitCode::usage);
  EXPECT_EQ(finding.health, Health::broken);
  EXPECT_NE(finding.found.find("rank 3 on b has 2"), std::string::npos) << finding.found;
  EXPECT_EQ(finding.advice, "do this");
  EXPECT_EQ(exit_code({finding}), ExitCode::usage);
}

TEST(DoctorVerdicts, ThreadsAgainstCores) {
  EXPECT_EQ(threads_verdict({{"a", {0, 1}}, {"a", {0, 1}}}, 1).health, Health::ok);
  EXPECT_EQ(threads_verdict({{"a", {0, 1}}, {"a", {0, 1}}}, 2).health, Health::slow);
  // Bound to one core each, as mpirun does, with two threads.
  const auto bound = threads_verdict({{"a", {0}}, {"a", {1}}}, 2);
  EXPECT_EQ(bound.health, Health::slow);
  EXPECT_NE(bound.advice.find("--bind-to none"), std::string::npos);
  EXPECT_EQ(threads_verdict({{"a", {0}}, {"b", {0}}}, 1).health, Health::ok);
}

std::vector<LinkReport> all_pairs(int ranks, double latency, double bandwidth) {
  std::vector<LinkReport> links;
  for (int a = 0; a < ranks; ++a)
    for (int b = a + 1; b < ranks; ++b)
      links.push_back({{a < ranks / 2 ? "a" : "b", a}, {b < ranks / 2 ? "a" : "b", b}, true, latency, bandwidth});
  return links;
}

TEST(DoctorVerdicts, SlowAndSilentPairsAreNamed) {
  auto links = all_pairs(4, 1e-5, 1e9);
  EXPECT_EQ(links_verdict(links, 6, 0, {}).health, Health::ok);
  auto& across = links[2];  // ranks 0 and 3
  across.bandwidth = 0.3e9;
  const auto slow = links_verdict(links, 6, 0, {});
  EXPECT_EQ(slow.health, Health::slow);
  EXPECT_NE(slow.found.find("ranks 0 on a and 3 on b"), std::string::npos) << slow.found;
  EXPECT_EQ(exit_code({slow}), ExitCode::done);
  across.bandwidth = 1e9;
  across.latency = 1e-3;
  EXPECT_EQ(links_verdict(links, 6, 0, {}).health, Health::slow);
  across.answered = false;
  const auto silent = links_verdict(links, 6, 0, {});
  EXPECT_EQ(silent.health, Health::broken);
  EXPECT_EQ(silent.code, ExitCode::rank);
  EXPECT_NE(silent.found.find("no answer: ranks 0 on a and 3 on b"), std::string::npos) << silent.found;
}

TEST(DoctorVerdicts, LinksBetweenHostsAreHeldAgainstThePlan) {
  const auto links = all_pairs(4, 1e-5, 1e9);
  EXPECT_EQ(links_verdict(links, 6, 0.5e9, {}).health, Health::ok);
  const auto finding = links_verdict(links, 6, 2e9, {});
  EXPECT_EQ(finding.health, Health::slow);
  // The four across hosts alone.
  EXPECT_EQ(finding.found.find("ranks 0 on a and 1 on a"), std::string::npos) << finding.found;
}

TEST(DoctorVerdicts, SmallLatenciesAreNeverSlow) {
  auto links = all_pairs(4, 1e-6, 1e9);
  links[0].latency = 2e-5;
  EXPECT_EQ(links_verdict(links, 6, 0, {}).health, Health::ok);
}

TEST(DoctorLinks, WhatOneEndMissedCounts) {
  const std::vector<std::string> hosts{"a", "b"};
  const auto both = links_of({link_text(1, Link{1e-5, 2e9}), link_text(0, Link{3e-5, 1e9})}, hosts);
  ASSERT_EQ(both.size(), 1U);
  EXPECT_TRUE(both[0].answered);
  EXPECT_DOUBLE_EQ(both[0].latency, 1e-5);
  const auto one = links_of({link_text(1, Link{1e-5, 2e9}), link_text(0, std::nullopt)}, hosts);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_FALSE(one[0].answered);
}

TEST(DoctorVerdicts, Clocks) {
  const std::vector<std::string> hosts{"a", "b", "c"};
  EXPECT_EQ(clock_verdict({0.0, 0.01, -0.02}, hosts, {}).health, Health::ok);
  const auto off = clock_verdict({0.0, 0.01, -3.0}, hosts, {});
  EXPECT_EQ(off.health, Health::slow);
  EXPECT_NE(off.found.find("rank 2 on c"), std::string::npos);
  EXPECT_EQ(off.found.find("rank 1"), std::string::npos);
  EXPECT_EQ(clock_verdict({0.0, 0.01, 120.0}, hosts, {}).health, Health::broken);
  EXPECT_EQ(clock_verdict({0.0, std::nullopt, 0.0}, hosts, {}).health, Health::broken);
}

TEST(DoctorVerdicts, Limits) {
  const LimitsReport good{"a", 1024, kNone, kNone, 1e9};
  EXPECT_EQ(limits_verdict({good, good}, 1e9, {}).health, Health::ok);
  auto files = good;
  files.open_files = 60;
  const auto few = limits_verdict({good, files}, 0, {});
  EXPECT_EQ(few.health, Health::broken);
  EXPECT_NE(few.advice.find("ulimit -n"), std::string::npos);
  EXPECT_NE(few.found.find("rank 1 on a"), std::string::npos);
  auto space = good;
  space.address_space = 1e8;
  EXPECT_EQ(limits_verdict({space}, 1e9, {}).health, Health::broken);
  EXPECT_EQ(limits_verdict({space}, 0, {}).health, Health::ok);
  auto shared = good;
  shared.shared_memory = 20e6;
  EXPECT_EQ(limits_verdict({shared}, 0, {}).health, Health::ok);
  EXPECT_EQ(limits_verdict({shared, shared}, 0, {}).health, Health::slow);
}

TEST(DoctorVerdicts, MemoryIsSharedByTheRanksOfAHost) {
  EXPECT_EQ(memory_verdict({8e9, 8e9, 9e9}, {"a", "a", "b"}, 3e9).health, Health::ok);
  const auto finding = memory_verdict({8e9, 8e9, 9e9}, {"a", "a", "b"}, 5e9);
  EXPECT_EQ(finding.health, Health::broken);
  EXPECT_NE(finding.found.find("2 ranks on a"), std::string::npos) << finding.found;
  EXPECT_EQ(memory_verdict({1e3}, {"a"}, 0).health, Health::ok);
}

TEST(DoctorVerdicts, TheRunFolder) {
  FolderReport good{"a", 0.01, 1e9, 2, 1};
  auto findings = folder_verdicts({good, good}, 1e12, {}, 10, {});
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(exit_code(findings), ExitCode::done);
  EXPECT_NE(findings[2].found.find("1 GB/s written, 2 GB/s read"), std::string::npos) << findings[2].found;

  // Written before the next is due, and within a notice.
  EXPECT_EQ(folder_verdicts({good, good}, 1e12, {0, 0.9e9, 0.9e9}, 10, {})[2].health, Health::ok);
  const auto notice = folder_verdicts({good, good}, 1e12, {0, 0.5e9, 2e9}, 10, {})[2];
  EXPECT_EQ(notice.health, Health::slow);
  EXPECT_NE(notice.found.find("2 GB/s wanted for one within a notice"), std::string::npos) << notice.found;
  EXPECT_NE(notice.advice.find("--signal"), std::string::npos) << notice.advice;
  EXPECT_NE(folder_verdicts({good, good}, 1e12, {0, 2e9, 2e9}, 10, {})[2].advice.find("--checkpoint.every"),
            std::string::npos);

  findings = folder_verdicts({good, good}, 1e12, {2e12, 1.5e9}, 10, {});
  EXPECT_EQ(findings[1].health, Health::broken);
  EXPECT_EQ(findings[2].health, Health::slow);
  EXPECT_EQ(exit_code(findings), ExitCode::storage);

  auto late = good;
  late.seen = 3;
  EXPECT_EQ(folder_verdicts({good, late}, 1e12, {}, 10, {})[0].health, Health::slow);
  late.seen = -1;
  late.host = "b";
  findings = folder_verdicts({good, late}, 1e12, {}, 10, {});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].health, Health::broken);
  EXPECT_NE(findings[0].found.find("rank 1 on b"), std::string::npos) << findings[0].found;
}

TEST(DoctorVerdicts, DifferentFilesOfOneName) {
  EXPECT_EQ(data_verdict({{"a", "10 images", 100, 3e5}, {"b", "10 images", 50, 1.5e5}}, 0).health, Health::ok);
  const auto finding =
      data_verdict({{"a", "10 images", 100, 3e5}, {"a", "10 images", 100, 3e5}, {"b", "9 images", 50, 1.5e5}}, 1e9);
  EXPECT_EQ(finding.health, Health::broken);
  EXPECT_EQ(finding.code, ExitCode::input);
}

TEST(DoctorVerdicts, DataIsHeldAgainstThePlan) {
  const std::vector<DataReport> ranks{{"a", "10 images", 100, 3e6}, {"b", "10 images", 50, 1.5e6}};
  EXPECT_EQ(data_verdict(ranks, 2.9e6).health, Health::ok);
  // Enough in all, and less than its share on one rank.
  const auto finding = data_verdict(ranks, 4e6);
  EXPECT_EQ(finding.health, Health::slow);
  EXPECT_NE(finding.found.find("0.002 GB/s wanted of each, and less read: rank 1 on b"), std::string::npos)
      << finding.found;
  EXPECT_FALSE(finding.advice.empty());
  EXPECT_EQ(exit_code({finding}), ExitCode::done);
}

}  // namespace
}  // namespace langrun
