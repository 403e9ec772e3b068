#include "launch/questions.h"

#include <fmt/format.h>

namespace langrun::launch {

bool answer_questions(const Call& call, const OptionTable& table, const std::string& summary, DryRun dry_run) {
  const bool shows = dry_run == DryRun::told && table.dry_run();
  if (!table.help_asked() && !table.presets_asked() && !shows) return false;
  if (call.world.rank() == 0) {
    const auto text = table.help_asked()      ? table.help(summary)
                      : table.presets_asked() ? table.preset_list()
                                              : table.run_cfg();
    fmt::print("{}", text);
  }
  return true;
}

}  // namespace langrun::launch
