// Counts what this program asks of the allocator: allocations.cpp takes the place of malloc and its relatives.
#pragma once

#include <cstdint>

namespace langrun {

/// Calls of malloc, calloc, realloc and the aligned forms, by any thread, since the program began.
std::int64_t allocations_so_far();

}  // namespace langrun
