#include "jobs/bench_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "core/error.h"
#include "distributed/agreement.h"

namespace langrun {

namespace fs = std::filesystem;

BenchFolder::BenchFolder(Communicator& world) : owner_(world.rank() == 0) {
  path_ = on_root(world, "folder for the benchmark", [] {
    auto name = (fs::temp_directory_path() / "langrun-bench.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw Error(ExitCode::storage, fmt::format("cannot make a folder in '{}'", fs::temp_directory_path().string()),
                  "set TMPDIR to a folder that can be written");
    return name;
  });
}

BenchFolder::~BenchFolder() {
  std::error_code ignored;
  if (owner_) fs::remove_all(path_, ignored);
}

}  // namespace langrun
