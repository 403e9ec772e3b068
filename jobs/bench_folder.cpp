#include "jobs/bench_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "core/error.h"
#include "distributed/agreement.h"

namespace langrun {

namespace fs = std::filesystem;

BenchFolder::BenchFolder(Communicator& world, const std::string& under) : owner_(world.rank() == 0) {
  path_ = on_root(world, "folder for the benchmark", [&] {
    const auto where = under.empty() ? fs::temp_directory_path() : fs::absolute(under);
    auto name = (where / "langrun-bench.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw Error(ExitCode::storage, fmt::format("cannot make a folder in '{}'", where.string()),
                  under.empty() ? "set TMPDIR to a folder that can be written"
                                : "name a folder that is there and can be written");
    return name;
  });
  if (owner_) start_keeper();
}

// The shell reads from a pipe that nobody writes to: what it gets is its end, when the last holder of the other side,
// which is this process, is gone. In a session of its own, so that no signal meant for us reaches it.
void BenchFolder::start_keeper() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  // A launcher waits until nobody holds its pipes any more.
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  const auto folder = path_.string();
  const char* words[] = {"sh", "-c", "read -r end; rm -rf -- \"$1\"", "sh", folder.c_str(), nullptr};
  if (::posix_spawn(&keeper_, "/bin/sh", &actions, &attributes, const_cast<char**>(words), environ) != 0) keeper_ = -1;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[0]);
  lifeline_ = ends[1];
}

BenchFolder::~BenchFolder() {
  if (!owner_) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  if (lifeline_ >= 0) ::close(lifeline_);
  if (keeper_ > 0) ::waitpid(keeper_, nullptr, 0);
}

}  // namespace langrun
