// `sample --run DIR`: long sampling in a folder of its own.
#pragma once

#include <cstdint>
#include <string>

#include "launch/command.h"
#include "launch/options.h"
#include "launch/sampling.h"

namespace langrun::launch {

struct SampleOptions {
  std::string job = "sample";
  SampleRequest samples;
  std::string steps_list;
  std::string out, picture;  ///< without a folder
  std::string run;           ///< folder
  bool resume = false;
  std::int64_t checkpoint_every = 1000, stop_at = 0;
  double stop_after = 0, deadline = 0, watchdog_limit = 1800;
};

/// The whole of it, on every rank; `asked` are the options of this call. `bind` binds a table to options. Returns the
/// exit code.
int run_sample_folder(Call& call, OptionTable& asked_table, SampleOptions& asked,
                      void (*bind)(OptionTable& table, SampleOptions& options));

}  // namespace langrun::launch
