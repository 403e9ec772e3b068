// Where the chains of a bank begin, as asked for: a frozen generator, or data.
#pragma once

#include <cstdint>
#include <string>

#include "jobs/passed_over.h"

namespace langrun {

struct SourceConfig {
  std::string generator;         ///< run folder, file of weights (HDF5) or TorchScript; empty: chains begin from data
  std::string weights = "best";  ///< of a run or a file of weights: best (average where kept), average or raw
  std::int64_t latent = 0;       ///< TorchScript: length of its latent
  std::string range = "-1:1";    ///< TorchScript: range of its images, "-1:1" or "0:1"
  PassedOver passed_over{};      ///< no option: who is told of damaged checkpoints of a run folder
};

}  // namespace langrun
