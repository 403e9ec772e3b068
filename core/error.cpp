#include "core/error.h"

#include <cerrno>
#include <filesystem>
#include <new>

namespace langrun {
namespace {

constexpr const char* kOutOfMemoryHint = "use more ranks on more hosts, a smaller bank or batch";

// LibTorch says it in words alone.
bool speaks_of_memory(const std::string& text) {
  for (const char* words : {"can't allocate memory", "out of memory", "not enough memory"})
    if (text.find(words) != std::string::npos) return true;
  return false;
}

}  // namespace

Error as_error(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return {ExitCode::internal, "out of memory", kOutOfMemoryHint};
  } catch (const std::filesystem::filesystem_error& error) {
    const auto reason = error.code().message();
    const bool writing = error.code().value() == ENOSPC || error.code().value() == EROFS;
    return {writing ? ExitCode::storage : ExitCode::input, error.path1().string() + ": " + reason,
            "check the path and its permissions"};
  } catch (const std::exception& error) {
    // Libraries append where in their sources they were.
    const std::string what = error.what(), line = what.substr(0, what.find('\n'));
    if (speaks_of_memory(what)) return {ExitCode::internal, "out of memory: " + line, kOutOfMemoryHint};
    return {ExitCode::internal, line, "this is a bug in langrun; please report it"};
  } catch (...) {
    return {ExitCode::internal, "something was thrown that is no exception",
            "this is a bug in langrun; please report it"};
  }
}

}  // namespace langrun
