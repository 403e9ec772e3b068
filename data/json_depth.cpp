#include "data/json_depth.h"

namespace langrun {

bool nested_too_deep(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < json.size(); ++at) {
    const char letter = json[at];
    if (in_string) {
      if (letter == '\\')
        ++at;
      else if (letter == '"')
        in_string = false;
      continue;
    }
    if (letter == '"') in_string = true;
    if ((letter == '[' || letter == '{') && ++depth > kDeepestJson) return true;
    if (letter == ']' || letter == '}') --depth;
  }
  return false;
}

}  // namespace langrun
