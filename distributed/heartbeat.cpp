#include "distributed/heartbeat.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <utility>

#include "distributed/waiting.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

fs::path file_of(const fs::path& folder, int rank) { return folder / fmt::format("rank-{:05}.txt", rank); }

constexpr std::string_view kSeen = "last seen ";
constexpr double kLookSeconds = 1;

}  // namespace

Heartbeat::Heartbeat(const FlightRecorder& recorder, Config config, std::function<double()> limit,
                     std::function<void(std::uint64_t)> stuck)
    : recorder_(recorder), config_(std::move(config)), limit_(std::move(limit)), stuck_(std::move(stuck)) {
  write();
  writes_ = std::thread([this] { repeat(config_.seconds, [this] { write(); }); });
  looks_ = std::thread([this] { repeat(kLookSeconds, [this] { look(); }); });
}

Heartbeat::~Heartbeat() { stop(); }

void Heartbeat::stop() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  wake_.notify_all();
  for (auto* thread : {&looks_, &writes_})
    if (thread->joinable()) thread->join();
}

void Heartbeat::write() const {
  const auto state = recorder_.state();
  const auto text = fmt::format("rank {} of {} on {}, process {}\n{}{}: {}", config_.rank, config_.ranks, config_.host,
                                ::getpid(), kSeen, clock_text(wall_seconds()), record_text(state));
  // In place and in one call: a rename a beat from each of a thousand ranks is what a file server suffers from. Who
  // reads it meanwhile sees two beats mixed at worst.
  const int file = ::open(file_of(config_.folder, config_.rank).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return;
  if (::pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    (void)!::ftruncate(file, static_cast<off_t>(text.size()));
  ::close(file);
}

void Heartbeat::remove() {
  stop();  // a beat after the file is gone would bring it back
  std::error_code ignored;
  fs::remove(file_of(config_.folder, config_.rank), ignored);
}

std::string Heartbeat::last_place(const fs::path& folder, int rank) {
  std::ifstream in(file_of(folder, rank));
  std::string line;
  while (std::getline(in, line))
    if (line.starts_with(kSeen)) return line;
  return {};
}

void Heartbeat::gives_up(std::uint64_t number) { given_up_ = number; }

void Heartbeat::repeat(double seconds, const std::function<void()>& what) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return ends_; })) {
    lock.unlock();
    what();
    lock.lock();
  }
}

void Heartbeat::look() {
  const auto now = Clock::now();
  const auto since = [now](Clock::time_point then) { return std::chrono::duration<double>(now - then).count(); };
  if (since(std::exchange(looked_, now)) > kSuspendedSeconds) awake_since_ = now;
  if (const auto number = given_up_.load(); number != 0) {
    if (gave_up_ == Clock::time_point{}) gave_up_ = now;
    if (since(std::max(gave_up_, awake_since_)) > kGivingUp) stuck_(number);
    return;
  }
  const auto limit = limit_();
  const auto state = recorder_.state();
  if (limit <= 0 || state.waits_for == 0) return;
  if (std::min(state.waited, since(awake_since_)) > limit + kGrace) stuck_(state.waits_for);
}

}  // namespace langrun
