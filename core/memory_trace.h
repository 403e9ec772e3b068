// Which tensors a computation held, and when: recorded from the computation itself on a few images, and played again
// for any number of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace langrun {

/// Blocks of at least so many bytes come from the kernel one by one and go back to it; smaller ones come from a heap
/// that keeps what it once had (launch/main.cpp says so to the C library).
constexpr std::size_t kMappedFrom = 32 << 20;

/// Bytes by where they come from. The heap's resident size is the most it ever held; mapped blocks count while they
/// live. So over the phases of a program the two have maxima of their own, and the resident size is their sum.
struct MemoryUse {
  double heap = 0, mapped = 0;

  double total() const { return heap + mapped; }
  /// `count` blocks of `bytes` each.
  static MemoryUse blocks(double bytes, double count = 1) {
    return bytes < static_cast<double>(kMappedFrom) ? MemoryUse{bytes * count, 0} : MemoryUse{0, bytes * count};
  }
};
MemoryUse operator+(const MemoryUse& a, const MemoryUse& b);
/// The larger of each: two phases, one after the other.
MemoryUse largest(const MemoryUse& a, const MemoryUse& b);

/// What a computation took and gave back, in order.
struct MemoryTrace {
  std::vector<std::int64_t> sizes;   ///< bytes of each block, in the order of taking
  std::vector<std::int64_t> events;  ///< n + 1: block n is taken; -(n + 1): it is given back

  /// The most that was held at once, of the heap and of mapped blocks, each for itself.
  MemoryUse peak() const;
  /// What was still held at the end.
  MemoryUse left() const;
};

/// Runs `work` and records every tensor it makes in host memory, on any thread. Blocks that were there before do not
/// count, nor does what libraries take beside tensors. Not for two threads at once, nor while other threads make
/// tensors of their own.
MemoryTrace trace_memory(const std::function<void()>& work);

/// The trace that a computation on `images` images would leave, from those of two smaller numbers: every block's size
/// is a straight line in the number of images. Throws Error(internal) where the two are not of one computation.
MemoryTrace extrapolated(const MemoryTrace& few, std::int64_t few_images, const MemoryTrace& more,
                         std::int64_t more_images, std::int64_t images);

/// Traces work(n) on 2 and on 3 images and gives the trace for `images`; on so few, that itself. Never on one image
/// for more, since libraries choose other ways there. `after` follows each, untraced.
MemoryTrace trace_for(std::int64_t images, const std::function<void(std::int64_t)>& work,
                      const std::function<void()>& after = {});
/// The most images that trace_for gives to `work`.
constexpr std::int64_t kTracedImages = 3;

/// Bytes that this process has taken from the C library and not given back, by whatever part of it; 0 where the C
/// library does not say.
double bytes_in_use();
/// Bytes of this process's memory that are resident now.
double resident_bytes();
/// Gives back what the C library holds and nobody uses, for such a look at the rest.
void give_back_unused();

}  // namespace langrun
