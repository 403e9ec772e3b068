// The known word that a mistyped one was probably meant to be.
#pragma once

#include <string>
#include <vector>

namespace langrun {

/// The candidate closest to `word` by edit distance, or empty where none is near (more than half of it differs).
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace langrun
