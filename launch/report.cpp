#include "launch/report.h"

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
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"
#include "launch/embedded.h"

extern char** environ;

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPackage = "launch/report/";
constexpr std::string_view kLoader = "launch/report/loader.py";  // what Python runs; it takes the others from its input

std::string interpreter() {
  const char* chosen = std::getenv("LANGRUN_PYTHON");
  return chosen != nullptr && *chosen != '\0' ? chosen : LANGRUN_DEFAULT_PYTHON;
}

const std::string& loader() {
  for (const auto& file : embedded_files())
    if (file.name == kLoader) return file.text;
  throw Error(ExitCode::internal, fmt::format("{} is not in the program", kLoader));
}

/// The package as one JSON object, module name to source.
std::string package() {
  nlohmann::json sources;
  for (const auto& file : embedded_files())
    if (file.name.starts_with(kPackage) && file.name.ends_with(".py") && file.name != kLoader)
      sources[fs::path(file.name).stem().string()] = file.text;
  return sources.dump();
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd < 0) throw Error(ExitCode::internal, fmt::format("no file descriptor: {}", std::strerror(errno)));
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

/// A file in memory that holds `text`, at its start: what the interpreter reads as its standard input.
int memory_file(const std::string& text) {
  const int file = ::memfd_create("langrun-report", MFD_CLOEXEC);
  for (std::size_t done = 0; file >= 0 && done < text.size();) {
    const auto written = ::pwrite(file, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  return file;
}

std::string read_all(int file) {
  std::string text;
  std::array<char, 4096> piece;
  while (true) {
    const auto count = ::read(file, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
}

struct Outcome {
  int code = 0;          // exit status, or 128 + signal
  std::string messages;  // all of stderr
};

/// Runs `python -c LOADER ARGUMENT...` with the package as its input. A list of words, no shell: run folders may be
/// called anything.
Outcome run_python(const std::string& python, const std::vector<std::string>& arguments) {
  Descriptor input(memory_file(package()));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(ExitCode::internal, "no pipe to the report's script");
  Descriptor from(ends[0]), to(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, to.get(), 2);
  std::vector<std::string> words{python, "-c", loader()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, python.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  to.close();
  if (failed != 0)
    throw Error(ExitCode::input, fmt::format("cannot run Python '{}': {}", python, std::strerror(failed)),
                "install python3 with matplotlib, or set LANGRUN_PYTHON to an interpreter that has it");
  Outcome outcome;
  outcome.messages = read_all(from.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

/// The script ends with a line that says what is wrong and perhaps a "hint: " line, and one of langrun's exit codes.
[[noreturn]] void fail(const std::string& python, const Outcome& outcome) {
  auto text = outcome.messages;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  auto last = text.substr(text.rfind('\n') + 1);
  std::string hint;
  if (last.starts_with("hint: ")) {
    hint = last.substr(6);
    text.resize(text.size() - last.size());
    while (!text.empty() && text.back() == '\n') text.pop_back();
    last = text.substr(text.rfind('\n') + 1);
  }
  for (const auto code : {ExitCode::usage, ExitCode::input, ExitCode::storage})
    if (outcome.code == static_cast<int>(code) && !hint.empty()) throw Error(code, last, hint);
  throw Error(ExitCode::internal, fmt::format("the report's script ended with code {}: {}", outcome.code, last),
              fmt::format("it ran in {}; set LANGRUN_PYTHON to use another Python", python));
}

void require_run(const fs::path& folder) {
  const char* const hint = "give the folder named by --run";
  if (!fs::is_directory(folder))
    throw Error(ExitCode::input, fmt::format("{} is no run folder: there is no such folder", folder.string()), hint);
  for (const char* file : {"run.cfg", "metrics.jsonl", "chains.h5"})
    if (fs::exists(folder / file)) return;
  throw Error(ExitCode::input,
              fmt::format("{} is no run folder: it holds no run.cfg, metrics.jsonl or chains.h5", folder.string()),
              hint);
}

}  // namespace

fs::path render_report(const std::vector<fs::path>& runs, const fs::path& out) {
  if (runs.empty() || (out.empty() && runs.size() > 1))
    throw Error(ExitCode::usage, fmt::format("{} runs given, and no file for their page", runs.size()),
                runs.empty() ? "name the folders of runs" : "name it with --out FILE");
  for (const auto& run : runs) require_run(run);
  if (!out.empty() && (fs::exists(out) || fs::is_symlink(out)))
    throw Error(ExitCode::usage, fmt::format("{} exists already", out.string()),
                "choose another --out, or move the file away");
  std::vector<std::string> arguments;
  if (!out.empty()) arguments = {"--out", fs::absolute(out).string()};
  arguments.push_back("--");
  for (const auto& run : runs) arguments.push_back(fs::absolute(run).string());
  const auto python = interpreter();
  const auto outcome = run_python(python, arguments);
  if (outcome.code != 0) fail(python, outcome);
  return out.empty() ? runs.front() / "report.html" : out;
}

std::optional<fs::path> write_report(const fs::path& run_dir) {
  try {
    return render_report({run_dir}, {});
  } catch (const Error& error) {
    fmt::print(stderr, "langrun: warning: no report: {}{}\n", error.what(),
               error.hint().empty() ? "" : fmt::format(" ({})", error.hint()));
    return std::nullopt;
  }
}

}  // namespace langrun::launch
