#include <fmt/format.h>

#include "core/error.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/questions.h"
#include "launch/report.h"

namespace langrun::launch {

int run_report(Call& call) {
  std::vector<std::string> folders;
  std::string out;
  OptionTable options("run report");
  options.positional_rest(
      "DIR", folders,
      "folders of training runs of any job, or of chains (`sample --run DIR`); of one, report.html is "
      "written into it unless --out says otherwise, several stand side by side");
  options.text("out", out, "the page to write; must not exist; required for several DIR", Keep::transient);
  options.parse(call.arguments);
  if (answer_questions(call, options,
                       "Draws runs on one self-contained page: curves of all that was recorded, pictures, bank health, "
                       "correlations, long chains, timers, settings."))
    return 0;
  if (folders.empty()) throw Error(ExitCode::usage, "no DIR given", "`langrun run report DIR`");
  if (call.world.rank() == 0) fmt::print("{}\n", render_report({folders.begin(), folders.end()}, out).string());
  return 0;
}

}  // namespace langrun::launch
