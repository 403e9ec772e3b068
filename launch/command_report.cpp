#include <fmt/format.h>

#include "launch/commands.h"
#include "launch/options.h"
#include "launch/questions.h"
#include "launch/report.h"

namespace langrun::launch {

int run_report(Call& call) {
  std::string folder;
  OptionTable options("run report");
  options.positional("DIR", folder, "the folder of a run; report.html is written into it");
  options.parse(call.arguments);
  if (answer_questions(call, options, "Draws a run on one self-contained page, DIR/report.html.")) return 0;
  if (call.world.rank() == 0) fmt::print("{}\n", render_report(folder).string());
  return 0;
}

}  // namespace langrun::launch
