// Who meets whom: rounds in which every rank has one partner, so that all pairs are met without a rank being in two
// places.
#pragma once

#include <cstdint>
#include <vector>

namespace langrun {

/// Rounds until every pair has met once: ranks - 1, or ranks where their number is odd; 0 for a single rank.
int tournament_rounds(int ranks);
/// Partner of `rank` in `round` (0 .. tournament_rounds - 1); -1 where it sits the round out. The partner's partner is
/// `rank`.
int tournament_partner(int ranks, int round, int rank);
/// The rounds to play where no more than `most` are wanted: all of them, or `most` spread evenly, rising.
std::vector<int> chosen_rounds(int ranks, int most);

}  // namespace langrun
