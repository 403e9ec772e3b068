#include "launch/python.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "launch/embedded.h"

extern char** environ;

namespace langrun::launch {
namespace {

std::string interpreter() {
  const char* chosen = std::getenv("LANGRUN_PYTHON");
  return chosen != nullptr && *chosen != '\0' ? chosen : LANGRUN_DEFAULT_PYTHON;
}

const std::string& script(const std::string& name) {
  for (const auto& file : embedded_files())
    if (file.name == name) return file.text;
  throw Error(ExitCode::internal, fmt::format("{} is not in the program", name));
}

std::string read_to_end(int file) {
  std::string text;
  std::array<char, 4096> piece;
  while (true) {
    const auto count = ::read(file, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
  ::close(file);
  return text;
}

/// A file in memory that holds `text`, at its start.
int memory_file(const std::string& text) {
  const int file = ::memfd_create("langrun-input", MFD_CLOEXEC);
  for (std::size_t done = 0; file >= 0 && done < text.size();) {
    const auto written = ::pwrite(file, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  return file;
}

/// Starts the words and gives the reading end of what will be its stderr.
int start(std::vector<std::string> words, const std::string& input, pid_t& child) {
  const int in = memory_file(input);
  int ends[2];
  if (in < 0 || ::pipe2(ends, O_CLOEXEC) != 0) throw Error(ExitCode::internal, "no pipe to a script");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int failed = ::posix_spawnp(&child, words.front().c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  ::close(in);
  if (failed == 0) return ends[0];
  ::close(ends[0]);
  throw Error(ExitCode::input, fmt::format("cannot run Python '{}': {}", words.front(), std::strerror(failed)),
              "install python3 with matplotlib, or set LANGRUN_PYTHON to an interpreter that has it");
}

std::string take_last_line(std::string& text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto last = text.substr(text.rfind('\n') + 1);
  text.resize(text.size() - last.size());
  return last;
}

[[noreturn]] void fail(const std::string& name, const std::string& python, int code, std::string messages) {
  auto last = take_last_line(messages);
  std::string hint;
  if (last.starts_with("hint: ")) {
    hint = last.substr(6);
    last = take_last_line(messages);
  }
  for (const auto known : {ExitCode::usage, ExitCode::input, ExitCode::storage})
    if (code == static_cast<int>(known) && !hint.empty()) throw Error(known, last, hint);
  throw Error(ExitCode::internal, fmt::format("{} ended with code {}: {}", name, code, last),
              fmt::format("it ran in {}; set LANGRUN_PYTHON to use another Python", python));
}

}  // namespace

void run_python_script(const std::string& name, const std::vector<std::string>& arguments, const std::string& input) {
  const auto python = interpreter();
  std::vector<std::string> words{python, "-c", script(name)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  pid_t child = 0;
  const int from = start(std::move(words), input, child);
  const auto messages = read_to_end(from);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (code != 0) fail(name, python, code, messages);
}

}  // namespace langrun::launch
