#include "jobs/sampled_energy.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/networks/energy.h"
#include "core/torch.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/place_probe.h"
#include "jobs/scripted_energy.h"
#include "jobs/torchscript.h"

namespace langrun {
namespace {

constexpr const char* kPrior = "prior";

WeightsPart part_of(const char* name, const TrainedEnergy& energy, double temperature) {
  auto facts = facts_of(energy.config);
  facts["temperature"] = fmt::format("{}", temperature);
  if (energy.tau > 0) facts["tau"] = fmt::format("{}", energy.tau);
  return copied_part(name, named_state(*energy.network), facts);
}

}  // namespace

SampledEnergy::SampledEnergy(const SampledEnergyConfig& config, const at::Device& device) : config_(config) {
  if (config.file.empty()) {
    energy_.config = config.untrained;
    energy_.tau = config.untrained_tau;
    energy_.network = make_energy(config.untrained, static_cast<std::uint64_t>(config.untrained_seed));
  } else if (std::filesystem::exists(config.file) && looks_like_torchscript(config.file.string())) {
    open_script(config.file.string(), config.size);
  } else {
    if (std::filesystem::exists(config.file) && !h5::looks_like_hdf5(config.file))
      throw Error(ExitCode::input, fmt::format("{} is not a file of weights (HDF5)", config.file.string()),
                  "name a run folder, or a file of `langrun weights import`");
    read(WeightsFile(config.file));
  }
  make_sampler(device);
  add_terms(device);
  if (device.is_cpu()) return;
  // Curvature goes through the networks themselves, at the chains' images. (TorchScript stays on the CPU.)
  energy_.network->to(device);
  if (prior_.network) prior_.network->to(device);
}

void SampledEnergy::read(const WeightsFile& file) {
  const auto facts = file.facts(config_.part);
  if (const auto script = facts.find("script"); script != facts.end()) {
    // A sampling that goes on keeps of TorchScript where it is, and what it was.
    open_script(script->second, std::stoll(facts.at("size")));
    if (checksum(std::filesystem::path(script->second)) != facts.at("checksum"))
      throw Error(ExitCode::input, fmt::format("{} is another file than the one this began with", script->second),
                  "put the original back, or begin anew");
    return;
  }
  energy_ = read_energy(file, config_.part);
  if (file.has(kPrior)) prior_ = read_energy(file, kPrior);
}

void SampledEnergy::open_script(const std::string& path, std::int64_t size) {
  if (size <= 0)
    throw Error(ExitCode::usage, fmt::format("the size of the images that {} takes is not known", path),
                "TorchScript does not say it: give --energy.size");
  energy_.network = open_scripted_energy(path, {3, size, size});
  script_ = path;
}

void SampledEnergy::make_sampler(const at::Device& device) {
  if (script_.empty()) {
    sampler_ = std::make_unique<ChainSampler>(energy_.config, config_.precision, device);
    sampler_->refresh(*energy_.network);
    return;
  }
  if (config_.precision != "fp32" || !device.is_cpu())
    throw Error(ExitCode::usage, fmt::format("{} is TorchScript, which is run in fp32 on the CPU", script_),
                "use --precision fp32 and --device cpu");
  sampler_ = std::make_unique<ChainSampler>(energy_.network);
}

void SampledEnergy::add_terms(const at::Device& device) {
  SamplingTerms terms;
  terms.tau = energy_.tau;
  if (prior_.network) {
    if (!(prior_.network->input() == energy_.network->input()) || prior_.temperature <= 0)
      throw Error(ExitCode::input,
                  fmt::format("{}: the prior takes other images than the energy, or does not say its temperature",
                              config_.file.string()),
                  "the file is not as langrun writes it; use another checkpoint");
    terms.prior = std::make_unique<FrozenEnergy>(prior_.config, config_.precision, device);
    terms.prior->refresh(*prior_.network);
    // As T: the joint temperature divides both.
    terms.prior_temperature = prior_.temperature * config_.joint_temperature;
  }
  if (terms.any()) sampler_->add_terms(std::move(terms), temperature());
}

CurvatureProduct SampledEnergy::curvature(const Activation& activation) const {
  std::vector<CurvatureTerm> terms{{energy_.network.get(), 1}};
  // Shares of T J: U_prior counts T / T_prior, whatever J is; the Gaussian term is not divided by it.
  if (prior_.network) terms.push_back({prior_.network.get(), config_.temperature / prior_.temperature});
  const double gaussian = energy_.tau > 0 ? temperature() / (energy_.tau * energy_.tau) : 0;
  return curvature_product(std::move(terms), gaussian, activation);
}

bool SampledEnergy::piecewise_linear() const {
  return energy_.network->piecewise_linear() && (!prior_.network || prior_.network->piecewise_linear());
}

bool SampledEnergy::keeps_places(std::int64_t call, const std::optional<Activation>& activation) const {
  if (script_.empty()) return true;
  const auto shape = image();
  // As the chains' calls are laid out.
  const auto images =
      probe_images(call, shape.channels, shape.height, shape.width).contiguous(at::MemoryFormat::ChannelsLast);
  const auto curvature_of = activation ? curvature(*activation) : CurvatureProduct();
  const auto answer = [&](const at::Tensor& x) {
    const auto seen = energy_.network->energy_and_gradient(x);
    std::vector<at::Tensor> rows{seen.energy, seen.gradient};
    if (curvature_of) rows.push_back(curvature_of(x, seen.gradient));
    return rows;
  };
  try {
    answer(images);
  } catch (const c10::Error& error) {
    throw Error(ExitCode::input, fmt::format("{} gives no second derivatives: {}", script_, script_reason(error)),
                "--attack.kind bpda-eot needs none");
  }
  return langrun::keeps_places(images, answer);
}

ImageShape SampledEnergy::image() const { return energy_.network->input(); }

std::vector<WeightsPart> SampledEnergy::parts() const {
  std::vector<WeightsPart> parts;
  if (!script_.empty()) {
    const auto path = std::filesystem::absolute(script_).string();
    parts.push_back({"energy",
                     {{"script", path},
                      {"size", std::to_string(image().height)},
                      {"checksum", checksum(std::filesystem::path(path))},
                      {"temperature", fmt::format("{}", config_.temperature)}},
                     {}});
    return parts;
  }
  parts.push_back(part_of("energy", energy_, config_.temperature));
  if (prior_.network) parts.push_back(part_of(kPrior, prior_, prior_.temperature));
  return parts;
}

}  // namespace langrun
