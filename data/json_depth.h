// How deep a JSON text is nested. Parsing it takes no stack, but copying and writing out what was parsed recurses: a
// text of brackets alone would end the program.
#pragma once

#include <string_view>

namespace langrun {

/// Nothing that langrun writes is nested deeper than this by far.
inline constexpr int kDeepestJson = 64;

/// True where brackets outside strings are nested deeper than kDeepestJson.
bool nested_too_deep(std::string_view json);

}  // namespace langrun
