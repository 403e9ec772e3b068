// Why libarchive refused.
#pragma once

#include <archive.h>

namespace langrun {

/// libarchive's reason for its last failure; never null, which its own call may be where the archive is damaged.
inline const char* archive_reason(archive* reader) {
  const char* text = archive_error_string(reader);
  return text == nullptr ? "no reason given" : text;
}

}  // namespace langrun
