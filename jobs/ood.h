// ood: whether an energy tells the images it was trained on from others [HAT, GM 3.3].
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/auroc.h"
#include "distributed/communicator.h"
#include "jobs/sample_config.h"

namespace langrun {

/// Images beside the ones in distribution.
struct OodSet {
  enum class Kind {
    images,    ///< a store, folder or tar
    noise,     ///< uniform in [-1, 1]
    constant,  ///< one colour, uniform in [-1, 1]^C, over the whole image
    permuted,  ///< those in distribution, their pixels in another order, each image's its own
  };
  Kind kind = Kind::images;
  std::string name;  ///< for tables; of images the path
};

struct OodConfig {
  SampledEnergyConfig energy;
  std::string data;          ///< in distribution: a store, folder or tar
  std::vector<OodSet> sets;  ///< in the order of the table
  bool resize = false;       ///< folders and stores of another size are brought to the energy's
  std::int64_t count = 0;    ///< images of each, drawn by the seed; 0: all. Either way in the source's own order
  std::int64_t seed = 1;
  std::int64_t call = 50;    ///< images a network call; its shape is part of the bits
  std::int64_t threads = 1;  ///< per rank
  std::string device = "auto";
};

struct OodResult {
  std::vector<float> in;                ///< energies H(x) of the images in distribution
  std::vector<std::vector<float>> out;  ///< of each set
  std::vector<Auroc> aurocs;            ///< of each set
};

/// Called on rank 0: images done, and in all.
using OodProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// Collective, all ranks: block b of a set is scored by rank b mod R; all ranks have the result, with the same bits on
/// any number of them. Noise, constant and permuted images are as many as those in distribution. Throws Error(input)
/// where energy or images cannot be read, or images are of another size and `resize` is not set; Error(usage) where the
/// energy is a score, which has none; Error(diverged) where one is not finite.
OodResult measure_ood(const OodConfig& config, Communicator& world, const OodProgress& progress);

}  // namespace langrun
