// Large files written from front to back while the next piece is being made: at the disk's rate, and past the page
// cache where the file system allows it, since the memory of a machine that trains has better uses.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

namespace langrun {

/// Writes a file piece by piece on a thread of its own: one of its pieces of memory is being filled, one written, the
/// others wait in between, so that the disk always has the next.
class PieceWriter {
 public:
  /// Direct writes begin and end at multiples of this, in memory and in the file.
  static constexpr std::size_t kBlock = 4096;
  static constexpr std::size_t kPieces = 4;

  /// Opens `path`, which exists; `piece_bytes` is rounded up to a multiple of kBlock, `spare_bytes` more are there to
  /// fill past a piece. Throws Error(storage).
  PieceWriter(const std::filesystem::path& path, std::size_t piece_bytes, std::size_t spare_bytes);
  ~PieceWriter();
  PieceWriter(const PieceWriter&) = delete;
  PieceWriter& operator=(const PieceWriter&) = delete;

  std::size_t piece_bytes() const { return piece_; }
  /// Memory to fill: a piece and what is spare, aligned to kBlock. Starts with what was filled past the last piece.
  std::span<std::byte> memory() { return {pieces_[filling_].get(), piece_ + spare_}; }
  /// Hands over the first piece_bytes() of memory(), and moves the `past` bytes behind them to the front of the next.
  /// Waits until one is free. Throws Error(storage), naming the file, where that failed.
  void next(std::size_t past);
  /// Hands over the first `bytes` of memory(), the file's last, waits, cuts the file there and flushes it to the disk.
  /// Throws Error(storage).
  void finish(std::size_t bytes);

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  void run();
  void write(const std::byte* from, std::size_t bytes, std::uint64_t at);
  void hand_over(std::size_t bytes);
  void wait_until_pending(std::size_t most);

  std::filesystem::path path_;
  std::size_t piece_, spare_;
  std::array<std::unique_ptr<std::byte, Free>, kPieces> pieces_;
  std::size_t filling_ = 0;
  int file_ = -1;
  bool direct_ = true;  // false where the file system takes none: then the page cache is written out piece by piece
  std::uint64_t handed_ = 0;  // bytes handed over so far

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::span<const std::byte>> pending_;  // handed over, the first of them being written
  bool stop_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace langrun
