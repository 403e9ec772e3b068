// Python scripts that travel inside the program.
#pragma once

#include <string>
#include <vector>

namespace langrun::launch {

/// Runs the embedded script `name` with these arguments, in the Python of the environment variable LANGRUN_PYTHON, else
/// the one found when the program was built, and waits. `input` is its standard input; its standard output is dropped.
/// A list of words and no shell: folders may be called anything. A script that fails ends with one of langrun's exit
/// codes and a last line on stderr that says why, perhaps with a "hint: " line behind it. Throws that Error;
/// Error(input) where there is no Python; Error(internal) for a script that ends otherwise.
void run_python_script(const std::string& name, const std::vector<std::string>& arguments,
                       const std::string& input = {});

}  // namespace langrun::launch
