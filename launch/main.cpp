// The program: start MPI if a launcher is behind us, find the command, run it, turn errors into one line and a code.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "core/error.h"
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
  if (words.empty() || words[0] == "--help" || words[0] == "help") {
    if (world.rank() == 0) fmt::print("{}", usage());
    return words.empty() ? static_cast<int>(ExitCode::usage) : 0;
  }
  if (words[0] == "--version") {
    if (world.rank() == 0) fmt::print("langrun {} ({})\n", version(), commit());
    return 0;
  }
  std::size_t used = 0;
  const auto& command = find(words, used);
  Call call{world, std::vector<std::string>(words.begin() + static_cast<std::ptrdiff_t>(used), words.end()), argv[0],
            std::vector<std::string>(argv, argv + argc)};
  return command.run(call);
}

struct Failure {
  int code;
  std::string text;
};

std::optional<Failure> run(Communicator& world, int argc, char** argv, int& code) {
  const auto place = world.size() > 1 ? fmt::format(" [rank {} of {}]", world.rank(), world.size()) : "";
  const auto describe = [&](const std::string& what, const std::string& hint) {
    return fmt::format("langrun: error: {}{}\n{}", what, place, hint.empty() ? "" : "hint: " + hint + "\n");
  };
  try {
    code = dispatch(world, argc, argv);
    return std::nullopt;
  } catch (const Error& error) {
    return Failure{static_cast<int>(error.code()), describe(error.what(), error.hint())};
  } catch (const std::bad_alloc&) {
    return Failure{static_cast<int>(ExitCode::internal),
                   describe("out of memory", "use more ranks on more hosts, a smaller bank or batch")};
  } catch (const std::exception& error) {
    const std::string what = error.what();
    return Failure{static_cast<int>(ExitCode::internal),
                   describe(what.substr(0, what.find('\n')), "this is a bug in langrun; please report it")};
  }
}

}  // namespace
}  // namespace langrun::launch

int main(int argc, char** argv) {
  using namespace langrun;
  int code = 0;
  if (!started_by_mpi_launcher()) {
    const auto world = make_solo_communicator();
    const auto failure = launch::run(*world, argc, argv, code);
    if (failure) std::fputs(failure->text.c_str(), stderr);
    return failure ? failure->code : code;
  }
  std::optional<MpiSession> session;
  try {
    session.emplace();
  } catch (const Error& error) {
    fmt::print(stderr, "langrun: error: {}\nhint: {}\n", error.what(), error.hint());
    return static_cast<int>(error.code());
  }
  const auto failure = launch::run(session->world(), argc, argv, code);
  if (failure) {
    // Wrong input fails on every rank alike: then one speaks and all leave in order. A rank that fails alone says so
    // and takes the others with it, since they would wait for it for ever.
    const bool alike = session->all_failing(1.0);
    if (!alike || session->world().rank() == 0) {
      std::fputs(failure->text.c_str(), stderr);
      std::fflush(stderr);
    }
    if (!alike) MpiSession::abort(failure->code);
    code = failure->code;
  }
  session->finish();
  return code;
}
