#include "launch/commands.h"

namespace langrun::launch {

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
  };
  return all;
}

}  // namespace langrun::launch
