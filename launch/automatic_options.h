// Options whose automatic values become those they stand for: run.cfg has the latter.
#pragma once

#include <array>
#include <span>
#include <string>

#include "launch/options.h"

namespace langrun::launch {

/// A key, and the text that asks for whatever it stands for.
struct AutomaticOption {
  const char* key;
  const char* automatic;
};

/// Those of the commands that take a trained run, which says what they stand for.
inline constexpr std::array<AutomaticOption, 8> kRunSays{{{"weights", "best"},
                                                          {"at", "0"},
                                                          {"precision", "run"},
                                                          {"langevin.steps", "-1"},
                                                          {"langevin.eta", "0"},
                                                          {"langevin.temperature", "0"},
                                                          {"langevin.max-norm", "-1"},
                                                          {"joint-temperature", "0"}}};

/// The command of the first start, given again, must not contradict what became of its automatic values (kRunSays and
/// `more`): where it asks for them, `asked` gets what `run_cfg` says. `where` names that text in messages.
void agree_with_automatic(OptionTable& asked, std::span<const AutomaticOption> more, const std::string& run_cfg,
                          const std::string& where);

}  // namespace langrun::launch
