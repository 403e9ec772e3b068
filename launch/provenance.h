// provenance.json: what ran, where, and with which versions; one entry for each start of the run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/generation_folder.h"

namespace langrun::launch {

/// What a start found before it built its job, which takes its time: who began later is the newer start, whoever is
/// through first.
struct StartLook {
  double time = 0;              ///< seconds since 1970; 0: it has not looked
  std::int64_t generation = 0;  ///< the newest it saw
};

/// A look at the state of that name now. Rank 0's is every rank's.
StartLook look_for_starts(const std::filesystem::path& run_dir, const std::string& state);

/// One start of a run, told by the job.
struct Start {
  std::vector<std::string> command;  ///< all words of the command line
  std::vector<std::string> hosts;    ///< by rank
  std::vector<std::string> devices;  ///< by rank: "cpu", "cuda:0"
  std::int64_t first_step = 1;       ///< the first step this start takes: 1, or the checkpoint's step + 1
  StartLook look = {};
};

/// Appends generation `number`, one that newest_generation does not know yet, to DIR/provenance.json and brings its
/// head (version, commit, command, hosts, devices, library versions) up to date; the file is made if it is missing, and
/// replaced by rename. Rank 0 alone. Throws Error(storage) where it cannot be written, or what is there is damaged.
void record_start(const std::filesystem::path& run_dir, std::int64_t number, const Start& start);

/// Takes the state of a run over (take_generation, under the name `state`) and records the start. Rank 0 alone. Throws
/// Error(storage), also where a start that looked later than this one has taken it meanwhile: this is the older one
/// then. The times are those of the hosts' clocks.
GenerationFolder begin_generation(const std::filesystem::path& run_dir, const std::string& state, const Start& start);

/// Number of the newest generation in DIR/provenance.json, 0 where there is none. Throws Error(storage) as above.
std::int64_t newest_generation(const std::filesystem::path& run_dir);

}  // namespace langrun::launch
