// A command of the program, as main.cpp dispatches it.
#pragma once

#include <string>
#include <vector>

#include "distributed/communicator.h"

namespace langrun::launch {

/// What a command gets: the ranks it runs on and the words after its name.
struct Call {
  Communicator& world;
  std::vector<std::string> arguments;
  std::vector<std::string> command_line;  ///< all words, for provenance
};

/// Exit code, 0 for done; errors are thrown as langrun::Error. Under mpirun all ranks run it.
using CommandFunction = int (*)(Call&);

struct Command {
  const char* name;     ///< "shortrun", or "data import" for the words of a tool
  const char* summary;  ///< one line, for `langrun --help`
  CommandFunction run;
};

/// Every command of the program, in the order of `langrun --help`.
const std::vector<Command>& commands();

}  // namespace langrun::launch
