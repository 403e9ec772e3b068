// The folder of a run: who may begin in it, and with which configuration.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/generation_folder.h"
#include "distributed/communicator.h"
#include "launch/options.h"
#include "launch/provenance.h"

namespace langrun::launch {

/// What a start found in the folder.
struct RunState {
  bool fresh = true;                 ///< no run.cfg yet: the run begins here
  std::int64_t from_step = 0;        ///< checkpoint to go on from; 0: from the beginning
  std::vector<std::string> damaged;  ///< newer checkpoints that were passed over, and why
  StartLook look;                    ///< when that was, by rank 0's clock
  std::string images;                ///< Manifest::images of the checkpoint to go on from; empty: none, or unknown
};

/// Looks at the folder without touching it. With `resume`, options in `effective` become those of run.cfg, except for
/// the changeable ones given in this call. Collective, all ranks. Throws Error(usage) where the folder is in use and
/// `resume` is off, where it holds something that is no run, or a run of another job, where a given option contradicts
/// run.cfg, or run.cfg the configuration that the newest good checkpoint was made with (naming the key), and where
/// ranks were given different options or configuration files; Error(storage) where it has checkpoints and none is good,
/// or was copied with its links followed. Reading checkpoints takes its time: meanwhile ranks meet every second, so
/// that the communicator's limit is one for that.
RunState inspect_run(Communicator& world, const std::filesystem::path& run, bool resume, const OptionTable& given,
                     OptionTable& effective);

/// Options given in this call become those of `effective`, without looking at any folder (--dry-run).
void take_given(const OptionTable& given, OptionTable& effective);

/// Puts the configuration into RUN/run.cfg for the start that has `home`, unless it stands there. Rank 0 alone. Throws
/// Error(storage), also where a newer start has the run.
void publish_configuration(const std::filesystem::path& run, const GenerationFolder& home, const std::string& text);

/// Makes a run whose checkpoints this start has taken over (`home`) ready for its first step: writes run.cfg (a new
/// run, or a changed steps, checkpoint.* ...), removes unfinished checkpoints and those after the one to go on from,
/// and drops metrics after it, with a warning on stderr where earlier ones are lost. Returns its step, which is that of
/// `state` unless an older start that was still alive has gone on meanwhile. Rank 0 alone. Throws Error(storage), also
/// where what was seen before and what is there now do not go together; then nothing but the home was touched.
std::int64_t claim_run(const std::filesystem::path& run, const GenerationFolder& home, const RunState& state,
                       const OptionTable& effective);

}  // namespace langrun::launch
