#include "launch/commands.h"

namespace langrun::launch {

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {"shortrun", "trains an energy and a generator together on persistent chains", run_shortrun},
  };
  return all;
}

}  // namespace langrun::launch
