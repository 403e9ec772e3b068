#include "data/piece_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>

#include "core/error.h"
#include "data/durable.h"

namespace langrun {
namespace {

std::size_t round_up(std::size_t bytes) {
  return (bytes + PieceWriter::kBlock - 1) / PieceWriter::kBlock * PieceWriter::kBlock;
}

}  // namespace

PieceWriter::PieceWriter(const std::filesystem::path& path, std::size_t piece_bytes, std::size_t spare_bytes)
    : path_(path), piece_(round_up(piece_bytes)), spare_(round_up(spare_bytes)) {
  for (auto& piece : pieces_) {
    piece.reset(static_cast<std::byte*>(std::aligned_alloc(kBlock, piece_ + spare_)));
    if (!piece) throw std::bad_alloc();
  }
  file_ = ::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (file_ < 0 && errno == EINVAL) {
    direct_ = false;
    file_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  }
  if (file_ < 0) throw_storage("cannot write", path);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    ::close(file_);
    throw Error(ExitCode::storage,
                fmt::format("cannot start the thread that writes {}: {}", path.string(), failure.what()),
                "raise the limit on processes (ulimit -u)");
  }
}

PieceWriter::~PieceWriter() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
  ::close(file_);
}

void PieceWriter::next(std::size_t past) {
  const auto* rest = pieces_[filling_].get() + piece_;
  hand_over(piece_);
  if (past > 0) std::memcpy(pieces_[filling_].get(), rest, past);
}

void PieceWriter::finish(std::size_t bytes) {
  const auto whole = handed_ + bytes;
  if (bytes > 0) {
    // Direct writes are of whole blocks; what is too much is cut off again.
    const auto padded = round_up(bytes);
    std::memset(pieces_[filling_].get() + bytes, 0, padded - bytes);
    hand_over(padded);
  }
  wait_until_pending(0);
  if (::ftruncate(file_, static_cast<off_t>(whole)) != 0) throw_storage("cannot write", path_);
  if (::fsync(file_) != 0) throw_storage("cannot flush", path_);
}

void PieceWriter::hand_over(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    pending_.emplace_back(pieces_[filling_].get(), bytes);
  }
  changed_.notify_all();
  handed_ += bytes;
  filling_ = (filling_ + 1) % kPieces;
  wait_until_pending(kPieces - 1);
}

void PieceWriter::wait_until_pending(std::size_t most) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || pending_.size() <= most; });
  if (failure_) std::rethrow_exception(failure_);
}

void PieceWriter::run() {
  std::uint64_t at = 0;
  for (;;) {
    std::span<const std::byte> piece;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || !pending_.empty(); });
      if (stop_) return;
      piece = pending_.front();
    }
    std::exception_ptr failure;
    try {
      write(piece.data(), piece.size(), at);
    } catch (...) {
      failure = std::current_exception();
    }
    at += piece.size();
    {
      const std::lock_guard lock(mutex_);
      pending_.pop_front();
      failure_ = failure;
    }
    changed_.notify_all();
    if (failure) return;
  }
}

void PieceWriter::write(const std::byte* from, std::size_t bytes, std::uint64_t at) {
  for (std::size_t done = 0; done < bytes;) {
    const auto n = ::pwrite(file_, from + done, bytes - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    // Some file systems take O_DIRECT and then no direct write; some disks write a part that ends inside a block.
    if (n < 0 && errno == EINVAL && direct_) {
      direct_ = false;
      if (::fcntl(file_, F_SETFL, 0) == 0) continue;
    }
    if (n < 0) throw_storage("cannot write", path_);
    if (n == 0) {
      errno = EIO;
      throw_storage("cannot write", path_);
    }
    done += static_cast<std::size_t>(n);
  }
  // Begins to write out now, so that the disk is not idle until the flush at the end. A hint: fsync is what counts.
  if (!direct_) ::sync_file_range(file_, static_cast<off_t>(at), static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE);
}

}  // namespace langrun
