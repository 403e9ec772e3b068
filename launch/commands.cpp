#include "launch/commands.h"

namespace langrun::launch {

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {"shortrun", "trains an energy and a generator together on persistent chains", run_shortrun},
      {"score", "Frechet distance of two image stores", run_score},
      {"weights import", "read PyTorch weights into a file of weights", run_weights_import},
      {"run report", "a run on one page: DIR/report.html", run_report},
  };
  return all;
}

}  // namespace langrun::launch
