// What the tests of weights and formats share: a scratch folder, the outside interpreter, the sample data.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/error.h"

namespace langrun::testing {

/// A folder of its own for one test, gone afterwards.
class Scratch {
 public:
  Scratch() {
    auto name = (std::filesystem::temp_directory_path() / "langrun-unit.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no scratch folder");
    folder_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  std::filesystem::path folder_;
};

inline void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Runs `script` with the interpreter of LANGRUN_PYTHON in the scratch folder; false where it fails.
inline bool python(const Scratch& scratch, const std::string& script) {
  const char* interpreter = std::getenv("LANGRUN_PYTHON");
  if (interpreter == nullptr) return false;
  write_file(scratch / "script.py", script);
  const auto command = "cd '" + (scratch / "").string() + "' && '" + interpreter + "' script.py > python.log 2>&1";
  return std::system(command.c_str()) == 0;
}

/// Why a test that wants `module` cannot run; empty where it can.
inline std::string without_python(const Scratch& scratch, const std::string& module) {
  if (std::getenv("LANGRUN_PYTHON") == nullptr) return "LANGRUN_PYTHON is not set";
  return python(scratch, "import " + module) ? "" : "the interpreter has no " + module;
}

/// A file of the sample data beside the checkout.
inline std::filesystem::path shared_file(const std::string& name) {
  const char* shared = std::getenv("LANGRUN_SHARED");
  const char* source = std::getenv("LANGRUN_SOURCE");
  const std::filesystem::path root =
      shared != nullptr ? shared : std::filesystem::path(source != nullptr ? source : ".") / "../shared";
  return root / "data" / name;
}

/// The message and hint of the Error(code) that `action` throws; a failure of the test where it throws none.
template <typename Action>
std::string error_of(ExitCode code, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return std::string(error.what()) + " | " + error.hint();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

}  // namespace langrun::testing
