#include "core/memory_trace.h"

#include <c10/core/Allocator.h>
#include <c10/util/Logging.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <mutex>
#include <unordered_map>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "core/error.h"

namespace langrun {
namespace {

/// Told by LibTorch of every tensor's memory. Blocks that were there before are not known here, and do not count.
class Recorder final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* address, std::int64_t bytes, std::size_t, std::size_t, c10::Device device) override {
    if (!device.is_cpu()) return;
    const std::lock_guard lock(mutex_);
    if (bytes > 0) {
      trace_.sizes.push_back(bytes);
      const auto number = static_cast<std::int64_t>(trace_.sizes.size());
      numbers_[address] = number;
      trace_.events.push_back(number);
      return;
    }
    const auto found = numbers_.find(address);
    if (found == numbers_.end()) return;
    trace_.events.push_back(-found->second);
    numbers_.erase(found);
  }
  bool memoryProfilingEnabled() const override { return true; }
  const MemoryTrace& trace() const { return trace_; }

 private:
  std::mutex mutex_;
  MemoryTrace trace_;
  std::unordered_map<void*, std::int64_t> numbers_;  // of blocks that are held, by address
};

/// LibTorch's warnings are off while it lives: it has one for every block from before that is given back now.
class WithoutWarnings {
 public:
  WithoutWarnings() : before_(FLAGS_caffe2_log_level) { FLAGS_caffe2_log_level = std::max(before_, kErrors); }
  ~WithoutWarnings() { FLAGS_caffe2_log_level = before_; }
  WithoutWarnings(const WithoutWarnings&) = delete;
  WithoutWarnings& operator=(const WithoutWarnings&) = delete;

 private:
  static constexpr int kErrors = 2;
  int before_;
};

double& place_of(MemoryUse& use, std::int64_t bytes) {
  return bytes < static_cast<std::int64_t>(kMappedFrom) ? use.heap : use.mapped;
}

}  // namespace

MemoryUse operator+(const MemoryUse& a, const MemoryUse& b) { return {a.heap + b.heap, a.mapped + b.mapped}; }

MemoryUse largest(const MemoryUse& a, const MemoryUse& b) {
  return {std::max(a.heap, b.heap), std::max(a.mapped, b.mapped)};
}

MemoryUse MemoryTrace::peak() const {
  MemoryUse now, most;
  for (const auto event : events) {
    const auto bytes = sizes[static_cast<std::size_t>(std::abs(event) - 1)];
    place_of(now, bytes) += event > 0 ? static_cast<double>(bytes) : -static_cast<double>(bytes);
    most = largest(most, now);
  }
  return most;
}

MemoryUse MemoryTrace::left() const {
  MemoryUse now;
  for (const auto event : events) {
    const auto bytes = sizes[static_cast<std::size_t>(std::abs(event) - 1)];
    place_of(now, bytes) += event > 0 ? static_cast<double>(bytes) : -static_cast<double>(bytes);
  }
  return now;
}

MemoryTrace trace_memory(const std::function<void()>& work) {
  const auto recorder = std::make_shared<Recorder>();
  const WithoutWarnings silent;
  const c10::DebugInfoGuard told(c10::DebugInfoKind::PROFILER_STATE, recorder);
  work();
  return recorder->trace();
}

MemoryTrace extrapolated(const MemoryTrace& few, std::int64_t few_images, const MemoryTrace& more,
                         std::int64_t more_images, std::int64_t images) {
  if (few.events != more.events)
    throw Error(
        ExitCode::internal,
        fmt::format("a computation on {} images takes memory {} times, on {} images {} times or in another order",
                    few_images, few.sizes.size(), more_images, more.sizes.size()));
  auto trace = few;
  for (std::size_t i = 0; i < trace.sizes.size(); ++i) {
    const auto step = more.sizes[i] - few.sizes[i], apart = more_images - few_images;
    trace.sizes[i] += step * (images - few_images) / apart;
  }
  return trace;
}

MemoryTrace trace_for(std::int64_t images, const std::function<void(std::int64_t)>& work,
                      const std::function<void()>& after) {
  constexpr std::int64_t kFew = 2;
  const auto traced = [&](std::int64_t n) {
    auto trace = trace_memory([&] { work(n); });
    if (after) after();
    return trace;
  };
  if (images <= kTracedImages) return traced(images);
  const auto few = traced(kFew);
  return extrapolated(few, kFew, traced(kTracedImages), kTracedImages, images);
}

double bytes_in_use() {
#if defined(__GLIBC__)
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
#else
  return 0;
#endif
}

void give_back_unused() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

double resident_bytes() {
  std::ifstream status("/proc/self/statm");
  double all = 0, resident = 0;
  status >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace langrun
