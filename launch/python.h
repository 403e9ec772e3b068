// Python scripts that travel inside the program.
#pragma once

#include <string>
#include <vector>

namespace langrun::launch {

/// Runs the embedded script `name` with these arguments, in the Python of the environment variable LANGRUN_PYTHON, else
/// the one found when the program was built, and waits. Its standard output is dropped. A script that fails ends with
/// one of langrun's exit codes and a last line on stderr that says why, perhaps with a "hint: " line behind it. Throws
/// that Error; Error(input) where there is no Python; Error(internal) for a script that ends otherwise.
void run_python_script(const std::string& name, const std::vector<std::string>& arguments);

}  // namespace langrun::launch
