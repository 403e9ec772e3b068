// Who is told of damaged checkpoints.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace langrun {

/// Told on rank 0 alone of the checkpoints newer than the one that is used: what is wrong with them, a problem each
/// (data/checkpoint.h). Not called where there are none; may be empty.
using PassedOver = std::function<void(const std::vector<std::string>& problems)>;

}  // namespace langrun
