// A test part, to be preloaded (LD_PRELOAD): stops the process, as a host that is cut off stands still for all others,
// at the moment that the environment names, and says so on stderr. Who wants it to go on sends SIGCONT.
//   STOP_AT_OPEN=<ending>   the first opening of a file whose path ends so
//   STOP_AT_FINALIZE=1      the end of MPI
//   STOP_RANK=<n>           on that rank alone
#include <dlfcn.h>
#include <fcntl.h>

#include <atomic>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

bool on_this_rank() {
  const char* wanted = std::getenv("STOP_RANK");
  const char* own = std::getenv("OMPI_COMM_WORLD_RANK");
  return wanted == nullptr || own == nullptr || std::string_view(wanted) == own;
}

void stop(const char* where) {
  static std::atomic<bool> stopped = false;
  if (stopped.exchange(true) || !on_this_rank()) return;
  std::fprintf(stderr, "stopped at %s\n", where);
  std::raise(SIGSTOP);
}

void look_at(const char* path) {
  const char* ending = std::getenv("STOP_AT_OPEN");
  if (ending != nullptr && path != nullptr && std::string_view(path).ends_with(ending)) stop(path);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(rest, int)) : 0;
  va_end(rest);
  look_at(path);
  return reinterpret_cast<int (*)(const char*, int, mode_t)>(dlsym(RTLD_NEXT, "open"))(path, flags, mode);
}

// The same call where files may be large, which on 64 bits they are anyhow.
int open64(const char* path, int flags, ...) __attribute__((alias("open")));

int MPI_Finalize() {
  if (std::getenv("STOP_AT_FINALIZE") != nullptr) stop("MPI_Finalize");
  return reinterpret_cast<int (*)()>(dlsym(RTLD_NEXT, "MPI_Finalize"))();
}

}  // extern "C"
