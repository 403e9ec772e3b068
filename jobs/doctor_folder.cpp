#include "jobs/doctor_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// An open file, closed at the end.
class File {
 public:
  File(const fs::path& path, int flags) : path_(path), file_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (file_ < 0) throw_storage((flags & O_CREAT) != 0 ? "cannot write" : "cannot read", path);
  }
  ~File() { ::close(file_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int number() const { return file_; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  int file_;
};

constexpr std::size_t kPiece = 4 << 20;

void write_file(const fs::path& path, std::size_t bytes) {
  const File file(path, O_WRONLY | O_CREAT | O_TRUNC);
  // Not zeros: some file systems do not store those.
  std::vector<unsigned char> piece(kPiece);
  for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = static_cast<unsigned char>(i * 2654435761U >> 13);
  for (std::size_t done = 0; done < bytes;) {
    const auto wrote = ::write(file.number(), piece.data(), std::min(kPiece, bytes - done));
    if (wrote < 0) throw_storage("cannot write", path);
    done += static_cast<std::size_t>(wrote);
  }
  if (::fsync(file.number()) != 0) throw_storage("cannot write", path);
  // What is read again later is to come from the disk.
  ::posix_fadvise(file.number(), 0, 0, POSIX_FADV_DONTNEED);
}

void read_file(const fs::path& path) {
  const File file(path, O_RDONLY);
  ::posix_fadvise(file.number(), 0, 0, POSIX_FADV_DONTNEED);
  std::vector<unsigned char> piece(kPiece);
  for (;;) {
    const auto got = ::read(file.number(), piece.data(), piece.size());
    if (got < 0) throw_storage("cannot read", path);
    if (got == 0) return;
  }
}

/// Seconds until the file holds this text; -1 where it does not within the limit.
double seconds_until(const fs::path& path, const std::string& text, double limit) {
  const auto start = Clock::now();
  for (;;) {
    std::ifstream in(path);
    std::ostringstream found;
    if (in) found << in.rdbuf();
    if (found.str() == text) return seconds_since(start);
    if (seconds_since(start) > limit) return -1;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

/// The names of one examination in the folder, gone at its end.
class Trial {
 public:
  Trial(const DoctorConfig& config, Communicator& world, std::string id)
      : config_(config), world_(world), folder_(config.run), id_(std::move(id)) {}
  ~Trial() {
    std::error_code ignored;
    fs::remove(own(), ignored);
    if (world_.rank() == 0)
      for (const auto& path : {renamed(), fs::path(renamed().string() + ".partial")}) fs::remove(path, ignored);
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  void write(FolderReport& report) {
    const auto start = Clock::now();
    agree(world_, "write into the run folder",
          [&] { write_file(own(), static_cast<std::size_t>(config_.folder_bytes)); });
    report.written = config_.folder_bytes;
    report.write_seconds = seconds_since(start);
  }

  /// A name that appears, then a file that takes another's place under a name that ranks have looked at.
  void rename(FolderReport& report) {
    std::error_code ignored;
    // Who looked in vain may be told so again from a cache: as a restart would be.
    (void)fs::exists(renamed(), ignored);
    for (const std::string text : {"first", "second"}) {
      world_.barrier("look before a rename");
      agree(world_, "rename in the run folder", [&] {
        if (world_.rank() == 0) write_durably(renamed(), std::string_view(text));
      });
      const double seen = seconds_until(renamed(), text, config_.limit);
      report.seen = seen < 0 || report.seen < 0 ? -1 : std::max(report.seen, seen);
      world_.barrier("look after a rename");
    }
  }

  void read(FolderReport& report) {
    const auto start = Clock::now();
    // Another rank's, on another host where there is one: not what this host still has in memory.
    const int ranks = world_.size(), other = (world_.rank() + std::max(1, ranks / 2)) % ranks;
    agree(world_, "read in the run folder", [&] { read_file(file_of(other)); });
    report.read_seconds = seconds_since(start);
    // Nobody's file goes while it is read.
    world_.barrier("read in the run folder");
  }

 private:
  fs::path file_of(int rank) const { return folder_ / fmt::format(".doctor-{}-{}", id_, rank); }
  fs::path own() const { return file_of(world_.rank()); }
  fs::path renamed() const { return folder_ / fmt::format(".doctor-{}-name", id_); }

  const DoctorConfig& config_;
  Communicator& world_;
  fs::path folder_;
  std::string id_;
};

/// Without a slash behind it.
fs::path whole_name(const fs::path& folder) {
  const auto absolute = fs::absolute(folder).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

/// How many folders of this path are not there yet.
int missing_folders(const fs::path& folder) {
  int missing = 0;
  std::error_code ignored;
  for (auto at = whole_name(folder); at.has_relative_path() && !fs::exists(at, ignored); at = at.parent_path())
    ++missing;
  return missing;
}

double free_bytes(const fs::path& folder) {
  struct statvfs space {};
  if (statvfs(folder.c_str(), &space) != 0) throw_storage("cannot look at", folder);
  return static_cast<double>(space.f_bavail) * static_cast<double>(space.f_frsize);
}

std::vector<FolderReport> gather(Communicator& world, const FolderReport& own) {
  const auto texts =
      by_rank(world, "what ranks saw of the run folder",
              fmt::format("{} {} {} {} {}", own.seen, own.written, own.write_seconds, own.read_seconds, own.host));
  std::vector<FolderReport> all;
  for (const auto& text : texts) {
    FolderReport report;
    std::istringstream in(text);
    in >> report.seen >> report.written >> report.write_seconds >> report.read_seconds >> report.host;
    all.push_back(report);
  }
  return all;
}

}  // namespace

std::vector<Finding> examine_folder(const DoctorConfig& config, Communicator& world) {
  // Rank 0 makes the folder, the others find it or do not.
  const auto made_and_id = on_root(world, "make the run folder", [&] {
    const auto missing = missing_folders(config.run);
    make_folder(config.run);
    return fmt::format("{} {}-{}", missing, ::getpid(), Clock::now().time_since_epoch().count());
  });
  const auto made = std::stoi(made_and_id);
  std::vector<FolderReport> reports;
  double free = 0;
  const auto remove_folder = [&] {
    std::error_code ignored;
    auto folder = whole_name(config.run);
    // Only what is empty goes.
    for (int i = 0; i < made && world.rank() == 0; ++i, folder = folder.parent_path()) fs::remove(folder, ignored);
  };
  try {
    Trial trial(config, world, made_and_id.substr(made_and_id.find(' ') + 1));
    FolderReport own{host_name()};
    free = std::stod(on_root(world, "free space", [&] { return fmt::format("{}", free_bytes(config.run)); }));
    trial.write(own);
    trial.rename(own);
    trial.read(own);
    reports = gather(world, own);
  } catch (const Error&) {
    world.barrier("leave the run folder");
    remove_folder();
    throw;
  }
  world.barrier("leave the run folder");
  remove_folder();
  return folder_verdicts(reports, free, config.folder, config.limit, config.thresholds);
}

}  // namespace langrun
