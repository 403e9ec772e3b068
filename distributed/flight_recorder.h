// What a rank did last: its collectives, and the phase of the job they were part of.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace langrun {

/// Kept by the thread that makes the collectives, read by others at any time.
class FlightRecorder {
 public:
  static constexpr std::size_t kEntries = 64;

  struct Entry {
    std::uint64_t number = 0;  ///< place in the order of collectives, the same on every rank
    std::string name;
    std::uint64_t bytes = 0;  ///< that this rank gives
    std::string phase;        ///< of the job, where it began
    double begun = 0;         ///< seconds since 1970
    double ended = 0;         ///< 0: it is not through
  };

  struct State {
    std::string phase;
    std::vector<Entry> entries;   ///< the last 64 begun, oldest first
    std::uint64_t waits_for = 0;  ///< number of the collective that the rank stands in, 0: none
    double waited = 0;            ///< seconds in it so far
  };

  /// What the job does from now on: "step 12, sampling".
  void enter(std::string_view phase);
  void begin(std::uint64_t number, std::string_view name, std::uint64_t bytes);
  void end(std::uint64_t number);
  /// The rank waits for a collective, and does nothing else until it is through (`end`).
  void wait_for(std::uint64_t number);

  State state() const;

 private:
  mutable std::mutex mutex_;
  std::string phase_ = "start";
  std::deque<Entry> entries_;
  std::uint64_t waits_for_ = 0;
  std::chrono::steady_clock::time_point waits_since_;  // not the wall clock, which may be set meanwhile
};

/// Seconds since 1970.
double wall_seconds();
/// "2026-11-28T21:07:03Z"
std::string clock_text(double seconds);
/// The last known place of a rank in words: "step 12, sampling; in collective 'exchange' (number 40)".
std::string place_text(const FlightRecorder::State& state);
/// The whole recorder for a person: a line for the place, then one an entry.
std::string record_text(const FlightRecorder::State& state);

}  // namespace langrun
