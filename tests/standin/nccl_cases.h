// A test part: what holds for NcclCommunicator and NcclReducer wherever they run. The cases are in nccl_cases.cpp; a
// test program says where they run, by INSTANTIATE_TEST_SUITE_P.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "distributed/communicator.h"
#include "distributed/nccl_functions.h"

namespace langrun {

/// Ranks with GPUs, or what stands in for them.
class NcclPlace {
 public:
  virtual ~NcclPlace() = default;
  /// Why `ranks` ranks cannot run here; empty where they can.
  virtual std::string unfit(int ranks) const = 0;
  /// Collective, on each rank's thread, before anything else there: takes the rank's GPU, and gives the way to it.
  virtual NcclFunctions take(Communicator& world) = 0;
  /// What the ranks have not given back; empty where that is nothing, or cannot be known.
  virtual std::string leftovers() const = 0;
};

struct NcclSetting {
  std::string name;
  int ranks = 1;
  std::function<std::unique_ptr<NcclPlace>()> open;
};

class NcclCases : public testing::TestWithParam<NcclSetting> {
 protected:
  void SetUp() override;
  void TearDown() override;
  /// Runs `part` on every rank, and expects that none throws.
  void run(const std::function<void(Communicator&, const NcclFunctions&)>& part);

  std::unique_ptr<NcclPlace> place;
  int ranks = 1;
};

/// Those that one rank alone has no use for.
class NcclPeers : public NcclCases {};

}  // namespace langrun
