// The one exception of langrun: what went wrong, which exit code it is, and what to do.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace langrun {

/// Exit codes of the program; scripts rely on the numbers (docs/troubleshooting.md lists them).
enum class ExitCode : int {
  done = 0,
  internal = 1,  ///< a bug of ours; `run diff`: different
  usage = 2,     ///< unknown or wrong option, run folder in use, lanes that ranks do not divide
  input = 3,     ///< data, stores or weights that are missing, damaged, of the wrong size or type
  diverged = 4,  ///< a non-finite value, or a run that left its bounds (DivergenceWatch)
  rank = 5,      ///< a rank or a collective failed or timed out
  storage = 6,   ///< full, not writable, no good checkpoint left
  stopped = 75,  ///< asked to stop: checkpoint written, run again to go on
};

/// An error a person can act on. `what()` says what was given and what was expected; `hint()` says what to do and may
/// be empty. Launch prints it as one `langrun: error:` line and ends the program with `code()`.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message, std::string hint = {})
      : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}

  ExitCode code() const { return code_; }
  const std::string& hint() const { return hint_; }

 private:
  ExitCode code_;
  std::string hint_;
};

/// Any exception as an Error with one line: memory that ran out, files that may not be touched, and what libraries
/// throw.
Error as_error(std::exception_ptr thrown);

}  // namespace langrun
