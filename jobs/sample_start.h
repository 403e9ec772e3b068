// Where chains of samples begin.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/images.h"
#include "distributed/communicator.h"
#include "jobs/chain_source.h"
#include "jobs/frozen_generator.h"
#include "jobs/sample_config.h"

namespace langrun {

/// Begins chains by number.
class SampleStart {
 public:
  /// First part, collective, all ranks: looks for a generator. Nothing that another rank could fail at comes before it.
  SampleStart(const SampleStartConfig& config, Communicator& world);
  ~SampleStart();

  /// Second part: opens what it is to read; generators are called once on `call` latents. Throws Error(input) where it
  /// is missing, damaged or makes images of another shape than `image`.
  void open(const ImageShape& image, std::int64_t call, const at::Device& device);

  /// Chains that there are; 0: as many as one likes.
  std::int64_t count() const;
  /// Chains `places` before their first step, [b, C, H, W] float32 on any device. The number of places is that of every
  /// call. Throws Error(input) where a place cannot be read.
  at::Tensor begin(const std::vector<std::uint64_t>& places, NoiseKey key);
  /// The generator that chains begin with; nullptr where they begin otherwise.
  FrozenGenerator* generator();
  /// Latents of chains that begin with a generator's images: [b, nz]. With an `interpolation` of n, chains n r .. n r + n - 1
  /// go from one latent to another in equal steps, on the arc between them.
  at::Tensor latents(const std::vector<std::uint64_t>& places, NoiseKey key);
  std::string description() const;

 private:
  struct Parts;
  SampleStartConfig config_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace langrun
