#include "launch/passed_over.h"

#include <fmt/format.h>

#include <cstdio>

namespace langrun::launch {

void warn_of_passed_over(const std::vector<std::string>& problems) {
  for (const auto& problem : problems)
    fmt::print(stderr, "langrun: warning: damaged checkpoint passed over: {}\n", problem);
}

}  // namespace langrun::launch
