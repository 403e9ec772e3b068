// Why libarchive refused.
#pragma once

#include <archive.h>

#include <algorithm>
#include <string>

namespace langrun {

/// libarchive's reason for its last failure, on one line: its own words may be missing, or end in a line break.
inline std::string archive_reason(archive* reader) {
  const char* text = archive_error_string(reader);
  std::string reason = text == nullptr ? "no reason given" : text;
  while (!reason.empty() && reason.back() == '\n') reason.pop_back();
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  return reason;
}

}  // namespace langrun
