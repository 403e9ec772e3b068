#include "launch/presets.h"

#include <algorithm>

#include "launch/embedded.h"

namespace langrun::launch {

std::vector<Preset> presets_of(const std::string& command) {
  const std::string folder = "jobs/presets/" + command + "/";
  std::vector<Preset> presets;
  for (const auto& file : embedded_files())
    if (file.name.starts_with(folder) && file.name.ends_with(".cfg"))
      presets.push_back({file.name.substr(folder.size(), file.name.size() - folder.size() - 4), file.text});
  std::sort(presets.begin(), presets.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return presets;
}

}  // namespace langrun::launch
