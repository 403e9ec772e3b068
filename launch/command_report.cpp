#include <fmt/format.h>

#include "launch/commands.h"
#include "launch/options.h"
#include "launch/report.h"

namespace langrun::launch {

int run_report(Call& call) {
  std::string folder;
  OptionTable options("run report");
  options.positional("DIR", folder, "the folder of a run; report.html is written into it");
  options.parse(call.arguments);
  const bool first = call.world.rank() == 0;
  if (options.help_asked()) {
    if (first) fmt::print("{}", options.help("Draw a run on one self-contained page, DIR/report.html."));
    return 0;
  }
  if (first) fmt::print("{}\n", render_report(folder).string());
  return 0;
}

}  // namespace langrun::launch
