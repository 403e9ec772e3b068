// A generator that does not learn: of a run, a file of weights, or TorchScript.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "core/images.h"
#include "core/settings.h"
#include "data/weights_file.h"
#include "distributed/communicator.h"
#include "jobs/chain_source.h"
#include "jobs/source_config.h"

namespace langrun {

/// Images for latents, always the same: batch norm by its running statistics, no gradients.
class FrozenGenerator {
 public:
  virtual ~FrozenGenerator() = default;
  virtual std::int64_t latent_length() const = 0;
  /// latents [b, nz] float32 to images [b, C, H, W] float32 in [-factor, factor], on its device. Under autograd
  /// differentiable in the latents; the weights are constants.
  virtual at::Tensor make(const at::Tensor& latents) = 0;
  /// The same without a graph.
  at::Tensor images(const at::Tensor& latents);
  /// Bound of its images' values.
  virtual double factor() const { return 1; }
  /// Its weights and buffers, not copies.
  virtual std::vector<at::Tensor> state() const = 0;
  /// Bytes of them.
  std::int64_t bytes() const;
  /// Part `source` of a checkpoint: of a built-in network its weights, of TorchScript the file's checksum.
  virtual WeightsPart copied() const = 0;
  /// "sngan32 of runs/a/checkpoint/00006000/weights.h5, average weights"
  virtual std::string description() const = 0;
};

/// A built-in network with random weights, on the processor: it holds and computes what one that has learned would.
/// Throws Error(usage) for settings that no generator has, or one whose images are not of shape `image`.
std::unique_ptr<FrozenGenerator> untrained_generator(const GeneratorConfig& config, const ImageShape& image);

/// Chains that begin with its images; their latents are not kept.
class FrozenSource final : public ChainSource {
 public:
  /// Collective, all ranks; nothing that another rank could fail at comes before it. Rank 0 looks for the file: of a
  /// run folder it is the weights of the newest good checkpoint. With `from_checkpoint`, `restore` will follow: the
  /// file may be missing and is not read, except where it is TorchScript, since a checkpoint has the weights of a
  /// built-in network. Throws Error(input) where there is nothing.
  FrozenSource(const SourceConfig& config, bool from_checkpoint, Communicator& world);
  ~FrozenSource() override;

  /// Reads the generator and calls it once, on `batch` latents. Throws Error(usage) for settings that do not go with
  /// the kind of file; Error(input) where it cannot be read, does not take the latents, makes images of another shape
  /// than `image`, or values that are not of the stated range.
  void open(const ImageShape& image, std::int64_t batch, const at::Device& device);

  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) override;
  std::string description() const override;
  void copy_to(std::vector<WeightsPart>& parts) const override;
  void restore(const WeightsFile& file) override;
  /// Once it is open, or restored. Throws Error(input) where its file was missing and nothing was restored.
  FrozenGenerator& generator();
  /// Whether it is open, or restored: of a run that goes on a built-in one comes with the checkpoint.
  bool ready() const { return generator_ != nullptr; }

 private:
  SourceConfig config_;
  bool from_checkpoint_;
  std::string file_;  // empty where it is missing
  at::Device device_ = at::kCPU;
  std::unique_ptr<FrozenGenerator> generator_;
};

/// The source of a job's chains as configured: nothing where they begin from data. Collective, all ranks, as
/// FrozenSource's constructor is. Throws Error(usage) for settings of a generator that is not named.
std::unique_ptr<FrozenSource> frozen_source(const SourceConfig& config, bool from_checkpoint, Communicator& world);

}  // namespace langrun
