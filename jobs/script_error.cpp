#include "jobs/script_error.h"

#include "jobs/torchscript.h"

namespace langrun {

std::string raised_reason(const std::exception& error) {
  if (const auto* own = dynamic_cast<const c10::Error*>(&error)) return script_reason(*own);
  const std::string text = error.what();
  const auto end = text.find_last_not_of(" \n");
  return text.substr(0, end + 1).substr(text.rfind('\n', end) + 1);
}

}  // namespace langrun
