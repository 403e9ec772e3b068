#pragma once

namespace langrun::launch {

/// Version of langrun, from CMake's project().
const char* version();
/// Commit the program was built from, or "unknown" outside a checkout.
const char* commit();

}  // namespace langrun::launch
