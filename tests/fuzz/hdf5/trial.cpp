#include "tests/fuzz/hdf5/trial.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/error.h"
#include "data/durable.h"
#include "data/seal.h"
#include "tests/fuzz/hdf5/mutation.h"

namespace langrun::mutations {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBatch = 500;
constexpr unsigned kSeconds = 10;
constexpr rlim_t kMoreMemory = rlim_t{1} << 30;
constexpr int kFrames = 24;

/// What a child tells its parent, in memory that both have.
struct Shared {
  std::uint64_t current = 0;  ///< damage that is being tried
  std::array<std::uint64_t, kOutcomes> counts{};
  int frames = 0;
  void* trace[kFrames] = {};
  char note[240] = {};
};

Shared* shared_memory() {
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw Error(ExitCode::internal, "no shared memory");
  return new (memory) Shared;
}

// A signal handler has nothing but globals to go by.
Shared* told_to = nullptr;

void on_signal(int signal) {
  told_to->frames = ::backtrace(told_to->trace, kFrames);
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

void watch_signals() {
  static char stack[1 << 16];
  const stack_t alternate{stack, 0, sizeof stack};
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL, SIGALRM}) ::sigaction(signal, &action, nullptr);
}

void limit_memory() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%ld", &pages) != 1) pages = 1 << 22;
  if (file != nullptr) std::fclose(file);
  const auto most = static_cast<rlim_t>(pages) * 4096 + kMoreMemory;
  const rlimit limit{most, most};
  ::setrlimit(RLIMIT_AS, &limit);
  const rlimit no_dump{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_dump);
}

void put(const fs::path& path, const std::string& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::exit(9);
  std::fclose(file);
}

std::string damaged(const Subject& subject, const Plan& plan, std::uint64_t number) {
  const bool sealed =
      subject.bytes.size() > kSealBytes &&
      subject.bytes.ends_with(seal_of(subject.bytes.size() - kSealBytes,
                                      checksum_of_text(subject.bytes.substr(0, subject.bytes.size() - kSealBytes))));
  if (!plan.below_seal || !sealed) return mutated(subject.bytes, plan.seed, number);
  const auto content = mutated(subject.bytes.substr(0, subject.bytes.size() - kSealBytes), plan.seed, number);
  return content + seal_of(content.size(), checksum_of_text(content));
}

Outcome try_one(const Subject& subject, const Plan& plan, const fs::path& folder, const std::string& whole,
                Shared& shared) {
  const auto note = [&](const std::string& text) { text.copy(shared.note, sizeof shared.note - 1); };
  try {
    if (subject.content(folder) == whole) return Outcome::same;
    if (!plan.below_seal) note("another content");
    return Outcome::silent;
  } catch (const Error& error) {
    if (error.code() == ExitCode::input) return Outcome::refused;
    note(fmt::format("code {}: {}", static_cast<int>(error.code()), error.what()));
  } catch (const std::exception& error) {
    note(error.what());
  }
  return Outcome::wrong_error;
}

/// Tries damages from `shared.current` on, until one is worth a note.
[[noreturn]] void be_child(const Subject& subject, const Plan& plan, std::uint64_t end, const fs::path& folder,
                           const std::string& whole, Shared& shared) {
  limit_memory();
  watch_signals();
  for (; shared.current < end; ++shared.current) {
    put(folder / subject.file, damaged(subject, plan, shared.current));
    ::alarm(kSeconds);
    const auto outcome = try_one(subject, plan, folder, whole, shared);
    ::alarm(0);
    ++shared.counts[static_cast<std::size_t>(outcome)];
    if (shared.note[0] != '\0') break;
  }
  ::_exit(0);
}

/// The innermost function of HDF5, or else of anything, that was at work.
std::string place_of(const Shared& shared, int signal) {
  std::string first;
  // The innermost of all is the handler.
  for (int i = 1; i < shared.frames; ++i) {
    Dl_info info{};
    if (::dladdr(shared.trace[i], &info) == 0 || info.dli_fname == nullptr) continue;
    const auto library = fs::path(info.dli_fname).filename().string();
    const auto offset = static_cast<const char*>(shared.trace[i]) - static_cast<const char*>(info.dli_fbase);
    const auto place =
        fmt::format("{} {}", library, info.dli_sname == nullptr ? fmt::format("+{:#x}", offset) : info.dli_sname);
    if (library.starts_with(kLibrary)) return fmt::format("{}, {}", place, strsignal(signal));
    if (first.empty() && library.find("libc.") == std::string::npos) first = place;
  }
  return fmt::format("outside HDF5: {}, {}", first.empty() ? "unknown" : first, strsignal(signal));
}

void take_note(Tally& tally, Shared& shared, int status) {
  if (WIFSIGNALED(status)) {
    const bool hang = WTERMSIG(status) == SIGALRM;
    ++tally.counts[static_cast<std::size_t>(hang ? Outcome::hang : Outcome::crash)];
    ++tally.crashes[place_of(shared, WTERMSIG(status))];
    ++shared.current;
  } else if (shared.note[0] != '\0') {
    tally.notes.try_emplace(std::string(shared.note), shared.current);
    ++shared.current;
  } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error(ExitCode::internal, fmt::format("a child ended with status {}", status));
  }
  shared.note[0] = '\0';
  shared.frames = 0;
}

}  // namespace

Tally try_damages(const Subject& subject, const Plan& plan, const fs::path& scratch) {
  const auto folder = scratch / "tried";
  fs::remove_all(folder);
  fs::create_directories((folder / subject.file).parent_path());
  subject.surround(folder);
  put(folder / subject.file, subject.bytes);
  const auto whole = subject.content(folder);
  Tally tally;
  auto& shared = *shared_memory();
  told_to = &shared;
  while (shared.current < plan.count) {
    const auto end = std::min(plan.count, shared.current + kBatch);
    std::fflush(nullptr);
    const auto child = ::fork();
    if (child < 0) throw Error(ExitCode::internal, "no child process");
    if (child == 0) be_child(subject, plan, end, folder, whole, shared);
    int status = 0;
    ::waitpid(child, &status, 0);
    take_note(tally, shared, status);
  }
  for (std::size_t i = 0; i < kOutcomes; ++i) tally.counts[i] += shared.counts[i];
  ::munmap(&shared, sizeof shared);
  return tally;
}

}  // namespace langrun::mutations
