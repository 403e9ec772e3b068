#include "distributed/flight_recorder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace langrun {

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string clock_text(double seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

void FlightRecorder::enter(std::string_view phase) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
}

void FlightRecorder::begin(std::uint64_t number, std::string_view name, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() == kEntries) entries_.pop_front();
  entries_.push_back({number, std::string(name), bytes, phase_, wall_seconds(), 0});
}

void FlightRecorder::end(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  // From the back: what ends is nearly always what began last.
  const auto found =
      std::find_if(entries_.rbegin(), entries_.rend(), [&](const auto& e) { return e.number == number; });
  if (found != entries_.rend()) found->ended = wall_seconds();
  if (waits_for_ == number) waits_for_ = 0;
}

void FlightRecorder::wait_for(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  waits_for_ = number;
  waits_since_ = std::chrono::steady_clock::now();
}

FlightRecorder::State FlightRecorder::state() const {
  const std::lock_guard lock(mutex_);
  const auto waited = std::chrono::duration<double>(std::chrono::steady_clock::now() - waits_since_).count();
  return {phase_, {entries_.begin(), entries_.end()}, waits_for_, waits_for_ == 0 ? 0 : waited};
}

std::string place_text(const FlightRecorder::State& state) {
  const auto in = std::find_if(state.entries.begin(), state.entries.end(),
                               [&](const auto& e) { return e.number == state.waits_for; });
  if (in != state.entries.end())
    return fmt::format("{}; in collective '{}' (number {})", state.phase, in->name, in->number);
  if (state.entries.empty()) return state.phase;
  const auto& last = state.entries.back();
  return fmt::format("{}; after collective '{}' (number {})", state.phase, last.name, last.number);
}

std::string record_text(const FlightRecorder::State& state) {
  auto text = place_text(state) + "\nnumber collective bytes phase begun seconds\n";
  for (const auto& e : state.entries)
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", e.number, e.name, e.bytes, e.phase, clock_text(e.begun),
                        e.ended > 0 ? fmt::format("{:.4f}", e.ended - e.begun) : "not through");
  return text;
}

}  // namespace langrun
