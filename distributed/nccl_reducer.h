// Sums over lanes in GPU memory, reached as the communicator reaches NCCL: tested over host memory, compiled and linked
// wherever CUDA is; not yet run on a GPU.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "distributed/lanes.h"
#include "distributed/nccl_communicator.h"
#include "distributed/tree_reducer.h"

namespace langrun {

/// How the ranks' sums are added. A rank's own lanes are added in tree order either way.
enum class DeviceSum {
  tree,  ///< the tree of TreeReducer: slices go out in one group, are added in tree order, and are gathered
  nccl,  ///< ncclAllReduce: one call, in an order that depends on the number of ranks (`--reduction nccl`)
};

/// Reducer whose vectors live on the device of this rank.
class NcclReducer final : public Reducer {
 public:
  /// `nccl` must outlive it. Throws Error(rank) where the device has no room for log2(L/R) + 3 vectors.
  /// `name` names the collectives.
  NcclReducer(NcclCommunicator& nccl, const Lanes& lanes, std::size_t elements, DeviceSum order, std::string name);
  ~NcclReducer() override;

  /// In host memory; `add` copies it to the device.
  std::span<float> lane() override;
  void add() override;
  /// Nothing: the exchange is one call, in finalize, once all lanes are on the device.
  void begin_from(std::size_t) override {}
  void progress() override {}
  /// One lane's vector [elements] float32 on the device, ready on stream `producer`; copied before this returns.
  void add_device(const float* lane, CUstream_st* producer);
  /// Collective, as Reducer says; the sum in host memory.
  std::span<const float> finalize() override;
  /// Collective; the sum [elements] float32 on the device, complete, valid until the next add.
  const float* finalize_device();
  std::size_t elements() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace langrun
