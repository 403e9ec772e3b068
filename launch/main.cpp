// The program: start MPI if a launcher is behind us, find the command, run it, turn errors into one line and a code.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/memory_trace.h"
#include "distributed/agreement.h"
#include "launch/command.h"
#include "launch/options.h"
#include "launch/version.h"

namespace langrun::launch {
namespace {

std::string usage() {
  std::string text = "langrun COMMAND [--preset NAME] [--config FILE]... [--KEY VALUE]...\n\nCommands:\n";
  for (const auto& command : commands()) text += fmt::format("  {:<16} {}\n", command.name, command.summary);
  return text + "\n`langrun COMMAND --help` lists a command's options; `langrun --version` the version.\n";
}

const Command& find(const std::vector<std::string>& words, std::size_t& used) {
  std::vector<std::string> names;
  for (const auto& command : commands()) {
    const std::string name = command.name;
    const bool two = name.find(' ') != std::string::npos;
    if (!two && !words.empty() && words[0] == name) return used = 1, command;
    if (two && words.size() > 1 && words[0] + " " + words[1] == name) return used = 2, command;
    names.push_back(name);
  }
  std::vector<std::string> tools;
  for (const auto& name : names)
    if (name.starts_with(words[0] + " ")) tools.push_back(name);
  if (!tools.empty() && (words.size() == 1 || words[1].starts_with("-")))
    throw Error(ExitCode::usage, fmt::format("'{}' is not a command by itself", words[0]),
                fmt::format("one of {}; each has --help", fmt::join(tools, ", ")));
  const bool tool =
      words.size() > 1 && !words[1].starts_with("-") &&
      std::any_of(names.begin(), names.end(), [&](const auto& n) { return n.starts_with(words[0] + " "); });
  const std::string word = tool ? words[0] + " " + words[1] : words[0];
  const auto close = nearest(word, names);
  throw Error(ExitCode::usage, fmt::format("unknown command '{}'", word),
              close.empty() ? "`langrun --help` lists the commands" : fmt::format("did you mean '{}'?", close));
}

int dispatch(Communicator& world, int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) throw Error(ExitCode::usage, "no command given", "`langrun --help` lists the commands");
  if (words[0] == "--help" || words[0] == "help") {
    if (world.rank() == 0) fmt::print("{}", usage());
    return 0;
  }
  if (words[0] == "--version") {
    if (world.rank() == 0) fmt::print("langrun {} ({})\n", version(), commit());
    return 0;
  }
  std::size_t used = 0;
  const auto& command = find(words, used);
  Call call{world, std::vector<std::string>(words.begin() + static_cast<std::ptrdiff_t>(used), words.end()),
            std::vector<std::string>(argv, argv + argc)};
  return command.run(call);
}

struct Failure {
  int code;
  std::string what, hint;

  /// The error line, and a hint line where there is one.
  void print(const std::string& place = {}) const {
    auto line = what;
    std::replace(line.begin(), line.end(), '\n', ' ');
    fmt::print(stderr, "langrun: error: {}{}\n{}", line, place, hint.empty() ? "" : "hint: " + hint + "\n");
    std::fflush(stderr);
  }
};

std::optional<Failure> run(Communicator& world, int argc, char** argv, int& code) {
  try {
    code = dispatch(world, argc, argv);
    return std::nullopt;
  } catch (...) {
    const auto error = as_error(std::current_exception());
    return Failure{static_cast<int>(error.code()), error.what(), error.hint()};
  }
}

// MPI_Finalize cannot say which rank is missing.
void wait_for_all(MpiSession& session) {
  auto& world = session.world();
  try {
    world.barrier("end of the program");
  } catch (const Error& error) {
    Failure{static_cast<int>(error.code()), error.what(), error.hint()}.print(
        fmt::format(" [on rank {} of {}, {}]", world.rank(), world.size(), host_name()));
    MpiSession::abort(static_cast<int>(error.code()));
  }
}

// The activations of an update come and go at every step. Left alone, glibc returns such blocks to the kernel and gets
// them back page by page, cleared: a tenth of an update's time.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(kMappedFrom));  // the most that glibc takes
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
#endif
}

}  // namespace
}  // namespace langrun::launch

int main(int argc, char** argv) {
  using namespace langrun;
  launch::keep_freed_memory();
  int code = 0;
  if (!started_by_mpi_launcher()) {
    const auto world = make_solo_communicator();
    const auto failure = launch::run(*world, argc, argv, code);
    if (failure) failure->print();
    return failure ? failure->code : code;
  }
  std::optional<MpiSession> session;
  try {
    session.emplace([](const Error& error) {
      launch::Failure{static_cast<int>(error.code()), error.what(), error.hint()}.print();
    });
  } catch (const Error& error) {
    fmt::print(stderr, "langrun: error: {}\nhint: {}\n", error.what(), error.hint());
    return static_cast<int>(error.code());
  }
  const auto failure = launch::run(session->world(), argc, argv, code);
  if (failure) {
    // Wrong input fails on every rank alike: then one speaks and all leave in order. A rank that fails alone says so
    // and takes the others with it, since they would wait for it for ever.
    // MPI must not be finalised while messages are on their way, so an error amid a sum ends as that of one rank does.
    const bool alike = session->all_failing(3.0) && !session->in_flight();
    const auto rank = session->world().rank();
    // Where several give up without all, the first to speak ends the others.
    if (!alike) std::this_thread::sleep_for(std::chrono::milliseconds(100) * std::min(rank, 10));
    if (!alike)
      failure->print(fmt::format(" [on rank {} of {}, {}]", rank, session->world().size(), host_name()));
    else if (rank == 0)
      failure->print();
    if (!alike) MpiSession::abort(failure->code);
    code = failure->code;
  } else {
    launch::wait_for_all(*session);
  }
  session->finish();
  return code;
}
