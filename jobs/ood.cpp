#include "jobs/ood.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "core/permutation.h"
#include "core/torch.h"
#include "distributed/agreement.h"
#include "jobs/chain_starts.h"
#include "jobs/device.h"
#include "jobs/finite_source.h"
#include "jobs/sampled_energy.h"
#include "jobs/scripted_energy.h"
#include "jobs/torchscript.h"

namespace langrun {
namespace {

/// Noise and colours are drawn in one stream, each at a step of its own: nothing is drawn twice. (Permutations have
/// another stream, in which the choice of images is epoch 0 and the pixels of image i are epoch 1 + i.)
enum OodStep : std::int64_t { kNoiseStep, kColourStep };
NoiseKey key_of(const OodConfig& config) { return noise_key(static_cast<std::uint64_t>(config.seed), Stream::sample); }

/// Images of one set by number: 0 .. count() - 1.
class OodImages {
 public:
  using Make = std::function<at::Tensor(const std::vector<std::uint64_t>& numbers)>;
  /// Of images made up.
  OodImages(std::int64_t count, Make make) : count_(count), make_(std::move(make)) {}
  /// Of images that are at these places of a source.
  OodImages(std::shared_ptr<FiniteSource> source, std::vector<std::uint64_t> places)
      : count_(std::ssize(places)), make_([source](const auto& chosen) { return source->fresh(chosen, 0, {}).images; }),
        places_(std::move(places)) {}

  std::int64_t count() const { return count_; }
  /// [b, C, H, W] float32.
  at::Tensor images(const std::vector<std::uint64_t>& numbers) const { return make_(places(numbers)); }
  /// Where the images of these numbers are in their source; of made-up ones their numbers.
  std::vector<std::uint64_t> places(const std::vector<std::uint64_t>& numbers) const {
    if (places_.empty()) return numbers;
    std::vector<std::uint64_t> places;
    for (const auto number : numbers) places.push_back(places_[number]);
    return places;
  }

 private:
  std::int64_t count_;
  Make make_;
  std::vector<std::uint64_t> places_;
};

// All of them, or as many as are asked for, the first ones in an order drawn by the seed: stores are sorted by class.
// They are read in the source's own order, since a compressed tar is unpacked from its beginning for every call.
OodImages drawn(std::shared_ptr<FiniteSource> source, const OodConfig& config, const std::string& name) {
  const auto there = source->count();
  if (config.count > there)
    throw Error(ExitCode::input, fmt::format("{} has {} images, --count asks for {}", name, there, config.count),
                "--count 0 takes all of each");
  std::vector<std::uint64_t> places(static_cast<std::size_t>(config.count > 0 ? config.count : there));
  std::iota(places.begin(), places.end(), 0);
  if (config.count > 0) {
    const Permutation order(static_cast<std::uint64_t>(config.seed), 0, static_cast<std::uint64_t>(there));
    std::transform(places.begin(), places.end(), places.begin(), order);
    std::sort(places.begin(), places.end());
  }
  return {std::move(source), std::move(places)};
}

at::Tensor constant_images(const ImageShape& image, const std::vector<std::uint64_t>& numbers, NoiseKey key) {
  const auto colours = uniform_images({image.channels, 1, 1}, numbers, kColourStep, key);
  return colours.expand({std::ssize(numbers), image.channels, image.height, image.width}).contiguous();
}

// `places`: of the images in their source, so that an image's order of pixels does not depend on --count.
at::Tensor permuted_images(const at::Tensor& images, const std::vector<std::uint64_t>& places, std::int64_t seed) {
  const auto pixels = images.size(2) * images.size(3);
  std::vector<at::Tensor> permuted;
  for (std::size_t i = 0; i < places.size(); ++i) {
    // Each image's own: the epoch of a permutation is free here.
    const Permutation order(static_cast<std::uint64_t>(seed), 1 + places[i], static_cast<std::uint64_t>(pixels));
    auto from = torch::empty({pixels}, torch::kInt64);
    for (std::int64_t p = 0; p < pixels; ++p)
      from.mutable_data_ptr<std::int64_t>()[p] = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(p)));
    const auto one = images[static_cast<std::int64_t>(i)];
    permuted.push_back(one.flatten(1).index_select(1, from).view(one.sizes()));
  }
  return torch::stack(permuted);
}

// Of a score the energy counts as 0 everywhere, and every AUROC would be 0.5.
void refuse_score(const SampledEnergyConfig& energy, const ImageShape& image) {
  const auto file = energy.file.string();
  if (energy.file.empty() || !looks_like_torchscript(file) || !is_score(*open_scripted_energy(file, image))) return;
  throw Error(ExitCode::usage, fmt::format("energy {} is a score: it does not say how high its energy is", file),
              "name a module that returns energies [b]");
}

class Measure {
 public:
  Measure(const OodConfig& config, Communicator& world)
      : config_(config), device_(prepare_device(device_settings(config), world)), energy_(config.energy, device_) {
    refuse_score(config.energy, energy_.image());
    const auto image = energy_.image();
    const auto open = [&](const std::string& path) {
      return drawn(make_images_source(path, config.resize, image), config, path);
    };
    sets_.push_back(open(config.data));
    for (const auto& set : config.sets) sets_.push_back(synthetic(set, open));
    for (const auto& set : sets_) all_ += set.count();
  }

  std::size_t sets() const { return sets_.size(); }
  std::int64_t all() const { return all_; }
  std::int64_t count(std::size_t set) const { return sets_[set].count(); }
  std::int64_t blocks(std::size_t set) const { return (count(set) + config_.call - 1) / config_.call; }

  /// Energies of a block; those of the last one that fill it up are cut off. Throws Error(diverged) for one that is not
  /// finite.
  std::vector<float> score(std::size_t set, std::int64_t block) {
    const torch::NoGradGuard constant;
    std::vector<std::uint64_t> numbers;
    for (std::int64_t i = 0; i < config_.call; ++i)
      numbers.push_back(static_cast<std::uint64_t>((block * config_.call + i) % count(set)));
    const auto images = sets_[set].images(numbers).to(device_).contiguous(at::MemoryFormat::ChannelsLast);
    const auto energies = energy_.sampler().gradient(images).energy.to(torch::kCPU).contiguous();
    const auto kept = std::min(config_.call, count(set) - block * config_.call);
    if (!torch::isfinite(energies.narrow(0, 0, kept)).all().item<bool>())
      throw Error(ExitCode::diverged,
                  fmt::format("an energy of {} is not finite", set == 0 ? config_.data : config_.sets[set - 1].name),
                  "its weights may have diverged: use others, of a run by --at");
    return {energies.const_data_ptr<float>(), energies.const_data_ptr<float>() + kept};
  }

 private:
  static TrainingConfig device_settings(const OodConfig& config) {
    TrainingConfig settings;
    settings.threads = config.threads;
    settings.device = config.device;
    return settings;
  }

  template <typename Open>
  OodImages synthetic(const OodSet& set, const Open& open) {
    const auto image = energy_.image();
    const auto key = key_of(config_);
    const auto& in = sets_.front();
    switch (set.kind) {
      case OodSet::Kind::images: return open(set.name);
      case OodSet::Kind::noise:
        return {in.count(),
                [image, key](const auto& numbers) { return uniform_images(image, numbers, kNoiseStep, key); }};
      case OodSet::Kind::constant:
        return {in.count(), [image, key](const auto& numbers) { return constant_images(image, numbers, key); }};
      case OodSet::Kind::permuted:
        return {in.count(), [in, seed = config_.seed](const auto& numbers) {
                  return permuted_images(in.images(numbers), in.places(numbers), seed);
                }};
    }
    throw Error(ExitCode::internal, "no such set");
  }

  const OodConfig& config_;
  at::Device device_;
  SampledEnergy energy_;
  std::vector<OodImages> sets_;
  std::int64_t all_ = 0;
};

void take(std::vector<float>& energies, std::int64_t first, const std::vector<std::byte>& bytes) {
  std::memcpy(energies.data() + first, bytes.data(), bytes.size());
}

}  // namespace

OodResult measure_ood(const OodConfig& config, Communicator& world, const OodProgress& progress) {
  std::optional<Measure> measure;
  agree(world, "set up", [&] { measure.emplace(config, world); });
  std::vector<std::vector<float>> energies;
  std::int64_t done = 0;
  for (std::size_t set = 0; set < measure->sets(); ++set) {
    energies.emplace_back(static_cast<std::size_t>(measure->count(set)));
    for (std::int64_t first = 0; first < measure->blocks(set); first += world.size()) {
      world.enter(fmt::format("energies of set {}, blocks from {} of {}", set + 1, first + 1, measure->blocks(set)));
      std::vector<float> own;
      agree(world, "score", [&] {
        if (first + world.rank() < measure->blocks(set)) own = measure->score(set, first + world.rank());
      });
      const auto all = world.gather_all("energies", std::as_bytes(std::span(own)));
      for (std::size_t r = 0; r < all.size(); ++r) {
        take(energies.back(), (first + static_cast<std::int64_t>(r)) * config.call, all[r]);
        done += static_cast<std::int64_t>(all[r].size() / sizeof(float));
      }
      if (world.rank() == 0) progress(done, measure->all());
    }
  }
  OodResult result;
  result.in = std::move(energies.front());
  for (std::size_t set = 1; set < energies.size(); ++set) {
    result.aurocs.push_back(auroc(result.in, energies[set]));
    result.out.push_back(std::move(energies[set]));
  }
  return result;
}

}  // namespace langrun
