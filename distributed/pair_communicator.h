// Two ranks of a job as a world of their own, for what wants a Communicator to begin with: a pair's NCCL.
#pragma once

#include "distributed/communicator.h"
#include "distributed/link_probe.h"

namespace langrun {

/// The collectives by which two ranks agree on something; it adds nothing up. Each is a message there and one back
/// through a LinkProbe, and throws Error(rank) where the partner does not answer within the probe's limit.
class PairCommunicator final : public Communicator {
 public:
  /// This rank `own` of the job and `partner`, which makes one with this rank. `probe` must outlive it.
  PairCommunicator(LinkProbe& probe, int own, int partner);

  int rank() const override { return own_ < partner_ ? 0 : 1; }
  int size() const override { return 2; }
  int local_rank() const override { return rank(); }
  void barrier(const char* name) override;
  void broadcast(const char* name, std::span<std::byte> bytes, int root) override;
  std::vector<std::vector<std::byte>> gather_all(const char* name, std::span<const std::byte> bytes) override;
  void maximum(const char* name, std::span<std::int64_t> values) override;
  void gather_blocks(const char* name, std::span<const float> own, std::span<float> all) override;
  Ticket begin_sum(const char* name, std::span<float> values) override;
  void progress() override {}
  void finish_sum(Ticket ticket) override;
  void sum_in_library_order(const char* name, std::span<float> values) override;
  Traffic traffic() const override { return {}; }
  void set_limit(double) override {}

 private:
  std::vector<std::byte> swap(const char* name, std::span<const std::byte> own);

  LinkProbe& probe_;
  int own_, partner_;
};

}  // namespace langrun
