#include "jobs/checkpoint_writer.h"

#include <chrono>
#include <utility>

#include "core/error.h"

namespace langrun {

CheckpointWriter::~CheckpointWriter() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::begin(std::int64_t step, std::filesystem::path folder, std::unique_ptr<Snapshot> snapshot) {
  if (busy()) throw Error(ExitCode::internal, "a checkpoint was begun before the one before was finished");
  step_ = step;
  folder_ = std::move(folder);
  snapshot_ = std::move(snapshot);
  state_ = State::writing;
  thread_ = std::thread([this] {
    const auto begun = std::chrono::steady_clock::now();
    try {
      files_ = snapshot_->write(folder_, [this] { return stop_.load(); });
      snapshot_.reset();
      seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
      state_ = State::written;
    } catch (...) {
      failure_ = std::current_exception();
      state_ = State::failed;
    }
  });
}

std::vector<CheckpointFile> CheckpointWriter::finish(bool give_up) {
  if (give_up) stop_ = true;
  thread_.join();
  stop_ = false;
  state_ = State::idle;
  snapshot_.reset();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return std::exchange(files_, {});
}

}  // namespace langrun
