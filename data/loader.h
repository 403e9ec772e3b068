// The stream of training images: epoch after epoch, each in its own keyed order, read ahead by a thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "core/permutation.h"
#include "data/image_store.h"

namespace langrun {

/// Which image stands at a position of the endless stream: position p is image permutation_{p / N}(p mod N).
class SampleOrder {
 public:
  SampleOrder(std::uint64_t seed, std::uint64_t count) : seed_(seed), permutation_(seed, 0, count) {}
  /// Image index of `position`; neighbours in one epoch are cheap.
  std::uint64_t operator()(std::uint64_t position);

 private:
  std::uint64_t seed_;
  std::uint64_t epoch_ = 0;
  Permutation permutation_;
};

struct LoaderSettings {
  std::uint64_t seed = 0;
  std::int64_t batch = 0;         ///< B, of all lanes of all ranks
  std::int64_t lanes = 1;         ///< L; divides B
  std::vector<std::int64_t> own;  ///< this rank's lanes, each below L
  bool flip = false;              ///< mirror half of the images, keyed by (seed, Stream::data_flip, position)
  std::int64_t ahead = 2;         ///< steps kept ready, at least 1
  std::int64_t first_step = 1;    ///< training step of the first batch; a resumed run starts later
};

/// Images and labels of one training step, the own lanes one after the other, B/L images each.
struct Batch {
  std::int64_t step = 0;
  std::vector<std::uint64_t> indices;  ///< images of the store, [own * B/L]
  std::vector<std::uint8_t> images;    ///< [own * B/L, H, W, C], uint8 or the bytes of float32, as the store has them
  std::vector<std::int64_t> labels;    ///< [own * B/L]
};

/// Reads batches in the order of steps. Lane l of step t holds stream positions (t-1) B + l (B/L) + i, i < B/L, so what
/// a lane sees does not depend on the ranks. Memory: `ahead` + 1 batches, whatever the size of the store. Its
/// reads come before all other use of HDF5. One thread calls next(); the store must outlive the loader.
class Loader {
 public:
  /// Throws Error(usage) where lanes do not divide the batch, a lane does not exist, or `ahead` or `first_step` is
  /// below 1.
  Loader(const ImageStore& store, LoaderSettings settings);
  /// Ends the thread; a read under way is finished first.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next step's batch; waits for it where need be. An error of the reading thread is thrown here, after the
  /// batches read before it, and again by every later call.
  Batch next();
  /// How long next() has waited for batches in all, seconds: 0 where the reading keeps ahead. Called by the same
  /// thread.
  double seconds_waited() const { return seconds_waited_; }

 private:
  void run();
  Batch load(std::int64_t step);
  void mirror(std::uint64_t position, std::uint8_t* image) const;

  const ImageStore& store_;
  LoaderSettings settings_;
  SampleOrder order_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  bool stop_ = false;
  double seconds_waited_ = 0;
  std::thread thread_;
};

/// How float images lie in memory.
enum class Layout {
  pixel_major,    ///< [n, H, W, C], as networks want it here
  channel_major,  ///< [n, C, H, W]
};

/// uint8 [n, H, W, C] as float32 in [-1, 1]: x / 127.5 - 1. Both spans hold n * elements(shape) values.
void to_unit_range(std::span<const std::uint8_t> images, const ImageShape& shape, Layout layout, std::span<float> out);

}  // namespace langrun
