#include "jobs/doctor_nccl.h"

#include "jobs/doctor_links.h"

#ifdef LANGRUN_HAVE_CUDA
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/torch.h"
#include "distributed/nccl_communicator.h"
#include "distributed/nccl_functions.h"
#include "distributed/pair_communicator.h"
#include "distributed/tournament.h"
#endif

namespace langrun {

#ifdef LANGRUN_HAVE_CUDA
namespace {

constexpr int kRounds = 7, kExchanges = 10;

/// Messages of both ranks at once, as reductions send them.
Link measure(NcclCommunicator& nccl, double bytes) {
  const auto fastest = [&](std::size_t count) {
    const auto send = torch::ones({2, static_cast<std::int64_t>(count)}, torch::kCUDA),
               receive = torch::empty_like(send);
    double best = 1e9;
    for (int i = 0; i < kExchanges; ++i) {
      const auto start = std::chrono::steady_clock::now();
      nccl.exchange("NCCL between two ranks", send.const_data_ptr<float>(), receive.mutable_data_ptr<float>(), count);
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
  };
  const auto count = static_cast<std::size_t>(bytes / sizeof(float));
  const double latency = fastest(1);
  return {latency, static_cast<double>(count * sizeof(float)) / fastest(count)};
}

}  // namespace

Finding nccl_verdict(const std::vector<std::string>& hosts, const DoctorConfig& config, LinkProbe& probe,
                     Communicator& world) {
  std::string own, why;
  for (const int round : chosen_rounds(world.size(), std::min(kRounds, static_cast<int>(config.rounds)))) {
    world.barrier("pairs of GPUs");
    const int partner = tournament_partner(world.size(), round, world.rank());
    if (partner < 0) continue;
    std::optional<Link> link;
    try {
      PairCommunicator pair(probe, world.rank(), partner);
      NcclCommunicator nccl(pair, config.limit, real_nccl_functions());
      link = measure(nccl, config.link_bytes);
      nccl.finish();
    } catch (const Error& error) {
      link.reset();
      why = error.what();
    }
    own += link_text(partner, link);
  }
  const auto ranks = static_cast<std::int64_t>(world.size());
  auto finding = links_verdict(links_of(by_rank(world, "NCCL links", own), hosts), ranks * (ranks - 1) / 2,
                               config.network_needed, config.thresholds);
  finding.check = "NCCL";
  if (finding.health != Health::broken) return finding;
  for (const auto& reason : by_rank(world, "NCCL reasons", why))
    if (!reason.empty()) {
      finding.found += fmt::format(" ({})", reason);
      break;
    }
  finding.advice = "NCCL_DEBUG=INFO makes NCCL say more; does NCCL_SOCKET_IFNAME name the right interface?";
  return finding;
}
#else
// Without CUDA no rank is ever bound to a GPU.
Finding nccl_verdict(const std::vector<std::string>&, const DoctorConfig&, LinkProbe&, Communicator&) {
  return {"NCCL", Health::ok, "this program was built without CUDA", {}};
}
#endif

}  // namespace langrun
