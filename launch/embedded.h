// Texts that are compiled into the program: presets, report scripts.
#pragma once

#include <string>
#include <vector>

namespace langrun::launch {

struct EmbeddedFile {
  std::string name;  ///< path from the project's root, "jobs/presets/shortrun/cifar10.cfg"
  std::string text;
};

const std::vector<EmbeddedFile>& embedded_files();
/// The text of one. Throws std::out_of_range where there is none of that name.
const std::string& embedded_file(const std::string& name);

}  // namespace langrun::launch
