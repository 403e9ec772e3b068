// Signs of life of a rank in a folder that all ranks see, so that one that is stopped or gone leaves its last place.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "distributed/flight_recorder.h"

namespace langrun {

/// One thread writes the rank's recorder into FOLDER/rank-NNNNN.txt every few seconds, which is the sign of life,
/// another looks every second whether the rank's own thread is stuck where it cannot give up by itself, whatever
/// the disk does to the first. Neither makes collectives.
class Heartbeat {
 public:
  struct Config {
    std::filesystem::path folder;
    int rank = 0, ranks = 1;
    std::string host;
    double seconds = 2;  ///< between two writes
  };
  /// `stuck` is called, once, with the number of the collective that the rank has waited in for `limit()` seconds and
  /// some more (`kGrace`) without giving up, or that it has been giving up for `kGivingUp` seconds. Time in which the
  /// whole process stood still (a suspended job) does not count. What cannot be written is left out: a disk that
  /// hiccups ends no run here.
  Heartbeat(const FlightRecorder& recorder, Config config, std::function<double()> limit,
            std::function<void(std::uint64_t number)> stuck);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  /// The rank gives this collective up, which is to end the program.
  void gives_up(std::uint64_t number);
  /// Writes the recorder as it is now. Blocks as long as the disk does.
  void write() const;
  const std::filesystem::path& folder() const { return config_.folder; }
  /// An orderly end: beats no more, and takes this rank's file away.
  void remove();

  /// Of another rank: "last seen 2026-11-28T21:07:03Z: step 12, sampling; ..."; empty where it has left no sign.
  static std::string last_place(const std::filesystem::path& folder, int rank);

  static constexpr double kGrace = 4, kGivingUp = 6;

 private:
  using Clock = std::chrono::steady_clock;
  /// Calls `what` every `seconds`, until the end.
  void repeat(double seconds, const std::function<void()>& what);
  void look();
  void stop();

  const FlightRecorder& recorder_;
  const Config config_;
  const std::function<double()> limit_;
  const std::function<void(std::uint64_t)> stuck_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ends_ = false;
  std::atomic<std::uint64_t> given_up_ = 0;                              // number of the collective
  Clock::time_point gave_up_{}, looked_ = Clock::now(), awake_since_{};  // of the thread that looks
  std::thread writes_, looks_;
};

}  // namespace langrun
