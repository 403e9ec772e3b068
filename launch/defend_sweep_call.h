// The call that began a sweep, as the sweep's folder keeps it: a start that goes on has the same options.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "launch/options.h"

namespace langrun::launch {

/// What the folder of a sweep holds.
struct KeptSweep {
  bool used = false;          ///< something is there
  std::string sweep;          ///< --sweep as it was asked for; empty: no sweep was begun here
  std::string configuration;  ///< text of sweep.cfg; empty in folders of versions that did not write it

  bool begun() const { return !sweep.empty(); }
};

/// Looks into RUN. Rank 0 looks; collective, all ranks. Throws Error(input) where a file cannot be read,
/// Error(usage) where sweep.cfg is malformed.
KeptSweep kept_sweep(Communicator& world, const std::filesystem::path& run);

/// Text of sweep.cfg: --preset and every option that was asked for, but those of one call alone, then --sweep; a line
/// `key = value` each.
std::string sweep_configuration(const OptionTable& asked, const std::string& sweep);

/// --sweep as the folder keeps it: without blanks at its edges.
std::string trimmed_sweep(const std::string& text);

/// --sweep of such a text.
std::string sweep_of(const std::string& configuration);

/// The other lines of such a text as words of a command line.
std::vector<std::string> kept_words(const std::string& configuration);

/// The words that a sweep goes on with: those of `configuration`, then what this call asks for and may change. Throws
/// Error(usage), naming the key, where this call asks for another value than the sweep began with; `where` names it.
std::vector<std::string> words_to_go_on(const std::string& configuration, const OptionTable& asked,
                                        const std::string& where);

}  // namespace langrun::launch
