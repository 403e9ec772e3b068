// What a person is told of damaged checkpoints.
#pragma once

#include <string>
#include <vector>

namespace langrun::launch {

/// A warning on stderr for each problem of the checkpoints that were passed over for an older one. Rank 0 alone.
void warn_of_passed_over(const std::vector<std::string>& problems);

}  // namespace langrun::launch
