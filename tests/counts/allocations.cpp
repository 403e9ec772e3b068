#include "tests/counts/allocations.h"

#include <atomic>
#include <cerrno>
#include <cstddef>

// The C library's own allocator, behind the names that this program takes over, for itself and for every library it
// loads.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* at, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace {
std::atomic<std::int64_t> counted{0};
}

namespace langrun {
std::int64_t allocations_so_far() { return counted.load(); }
}  // namespace langrun

extern "C" {
void* malloc(std::size_t size) {
  ++counted;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++counted;
  return __libc_calloc(count, size);
}
void* realloc(void* at, std::size_t size) {
  ++counted;
  return __libc_realloc(at, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  ++counted;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** at, std::size_t alignment, std::size_t size) {
  *at = memalign(alignment, size);
  return *at == nullptr ? ENOMEM : 0;
}
}
