#include "launch/commands.h"

namespace langrun::launch {

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {"run report", "a run on one page: DIR/report.html", run_report},
  };
  return all;
}

}  // namespace langrun::launch
