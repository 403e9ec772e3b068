// Files that come with the program: small data and weights, named @demo/energy.h5.
#pragma once

#include <string>

namespace langrun::launch {

/// True for a name that begins with @.
bool names_shipped_file(const std::string& name);

/// The path of a shipped file: @demo/energy.h5 is demo/energy.h5 in the folder of the environment variable
/// LANGRUN_SHARE, else in share/langrun beside the program's folder (../share/langrun), else in share/ of the source
/// tree that the program was built from. Any other name as it is. Throws Error(input), naming the folders, where none
/// has it.
std::string shipped(const std::string& name);

}  // namespace langrun::launch
