// The thread that writes a checkpoint's files while training goes on. It calls no collectives: what it did is asked on
// the training thread, and agreed on there.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "jobs/snapshot.h"

namespace langrun {

class CheckpointWriter {
 public:
  enum class State : std::int64_t { idle, writing, written, failed };

  CheckpointWriter() = default;
  /// Gives up what is being written and waits for the thread: a piece or a flush, no more.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  State state() const { return state_; }
  bool busy() const { return thread_.joinable(); }
  /// Begins to write `snapshot`, the state after `step`, into `folder`. Only where it is not busy.
  void begin(std::int64_t step, std::filesystem::path folder, std::unique_ptr<Snapshot> snapshot);
  std::int64_t step() const { return step_; }
  const std::filesystem::path& folder() const { return folder_; }
  /// Seconds that the thread took for what it wrote last, once that is finished.
  double seconds() const { return seconds_; }
  /// Waits for the thread and gives its files; with `give_up` it is told to stop, and gives none unless it was done.
  /// Throws what the thread threw. Afterwards it is idle.
  std::vector<CheckpointFile> finish(bool give_up);

 private:
  std::int64_t step_ = 0;
  std::filesystem::path folder_;
  std::unique_ptr<Snapshot> snapshot_;
  std::vector<CheckpointFile> files_;
  std::exception_ptr failure_;
  std::atomic<State> state_ = State::idle;
  std::atomic<bool> stop_ = false;
  double seconds_ = 0;
  std::thread thread_;
};

}  // namespace langrun
