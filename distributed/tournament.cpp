#include "distributed/tournament.h"

namespace langrun {

int tournament_rounds(int ranks) {
  if (ranks < 2) return 0;
  return ranks % 2 == 0 ? ranks - 1 : ranks;
}

// The circle method: the last seat stays (empty where ranks are odd), the others meet whom they sum up with.
int tournament_partner(int ranks, int round, int rank) {
  const int rounds = tournament_rounds(ranks);
  if (rounds == 0) return -1;
  const bool even = ranks % 2 == 0;
  const int last = ranks - 1;
  if (even && rank == last) {
    // 2 x = round, modulo an odd number.
    return static_cast<int>((static_cast<std::int64_t>(round) * (rounds + 1) / 2) % rounds);
  }
  const int partner = ((round - rank) % rounds + rounds) % rounds;
  if (partner != rank) return partner;
  return even ? last : -1;
}

std::vector<int> chosen_rounds(int ranks, int most) {
  const int rounds = tournament_rounds(ranks);
  std::vector<int> chosen;
  const int count = rounds < most ? rounds : most;
  for (int i = 0; i < count; ++i) chosen.push_back(static_cast<int>(static_cast<std::int64_t>(i) * rounds / count));
  return chosen;
}

}  // namespace langrun
