// Signs of life of a rank in a folder that all ranks see, so that one that is stopped or gone leaves its last place.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "distributed/flight_recorder.h"

namespace langrun {

/// A thread that writes the rank's recorder into FOLDER/rank-NNNNN.txt every few seconds, which is the sign of life,
/// and looks whether the rank's other thread is stuck where it cannot give up by itself. It makes no collectives.
class Heartbeat {
 public:
  struct Config {
    std::filesystem::path folder;
    int rank = 0, ranks = 1;
    std::string host;
    double seconds = 2;  ///< between two writes
  };
  /// `stuck` is called, once, with the number of the collective that the rank has waited in for `limit()` seconds and
  /// some more (`kGrace`) without giving up. What cannot be written is left out: a disk that hiccups ends no run here.
  Heartbeat(const FlightRecorder& recorder, Config config, std::function<double()> limit,
            std::function<void(std::uint64_t number)> stuck);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  /// Writes the recorder as it is now.
  void write() const;
  const std::filesystem::path& folder() const { return config_.folder; }
  /// Takes this rank's file away, for an orderly end.
  void remove();

  /// Of another rank: "last seen 2026-11-28T21:07:03Z: step 12, sampling; ..."; empty where it has left no sign.
  static std::string last_place(const std::filesystem::path& folder, int rank);

  static constexpr double kGrace = 4;

 private:
  void beat();
  void look(const FlightRecorder::State& state);

  const FlightRecorder& recorder_;
  const Config config_;
  const std::function<double()> limit_;
  const std::function<void(std::uint64_t)> stuck_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace langrun
