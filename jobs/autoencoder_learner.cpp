#include "jobs/autoencoder_learner.h"

#include "core/torch.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"

namespace langrun {
namespace {

constexpr double kLossWeight = 1000;

template <typename Network>
std::shared_ptr<Network> moved(std::shared_ptr<Network> network, const at::Device& device) {
  network->to(device);
  return network;
}

std::shared_ptr<Encoder> encoder_of(const AutoencoderConfig& config, const at::Device& device) {
  return moved(make_encoder(config.encoder, static_cast<std::uint64_t>(config.training.seed)), device);
}

std::shared_ptr<Generator> decoder_of(const AutoencoderConfig& config, const at::Device& device) {
  return moved(make_generator(config.decoder, static_cast<std::uint64_t>(config.training.seed)), device);
}

NamedTensors prefixed(const std::string& prefix, NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) name.insert(0, prefix);
  return tensors;
}

// The decoder's weights last: their gradients are complete first, and the exchange begins from the back.
NamedTensors weights_of(const Encoder& encoder, const Generator& decoder) {
  auto weights = prefixed("encoder.", named_weights(encoder));
  for (auto& weight : prefixed("decoder.", named_weights(decoder))) weights.push_back(std::move(weight));
  return weights;
}

NamedTensors chosen(const NamedTensors& state, const std::string& prefix) {
  NamedTensors part;
  for (const auto& [name, tensor] : state)
    if (name.starts_with(prefix)) part.emplace_back(name.substr(prefix.size()), tensor);
  return part;
}

}  // namespace

AutoencoderLearner::AutoencoderLearner(const AutoencoderConfig& config, const at::Device& device,
                                       const Reduction& reduction)
    : config_(config), device_(device), encoder_(encoder_of(config, device)), decoder_(decoder_of(config, device)),
      encoder_optimizer_(*encoder_, config.learning.optimizer), decoder_optimizer_(*decoder_, config.learning.optimizer),
      schedule_(parse_schedule(config.learning.learning_rate, config.learning.drops)),
      reduction_(weights_of(*encoder_, *decoder_), 1) {
  if (config.learning.average > 0) {
    encoder_average_ = encoder_of(config, device);
    decoder_average_ = decoder_of(config, device);
    hold_constant(*encoder_average_);
    hold_constant(*decoder_average_);
  }
  reduction_.connect(reduction.make(reduction_.elements(), "autoencoder gradients"), reduction.owned_lanes());
}

void AutoencoderLearner::add_lane(const at::Tensor& images, const at::Tensor& noise) {
  const torch::AutoGradMode learning(true);
  reduction_.add_lane([&] {
    const auto made = decoder_->generate(encoder_->encode(images) + noise, BatchNormUse::off);
    const auto loss = (made - images).square().mean() * kLossWeight;
    loss.backward();
    return std::vector<float>{loss.item<float>()};
  });
}

double AutoencoderLearner::take() {
  return reduction_.take(config_.training.lanes, "autoencoder gradients")[0] /
         static_cast<double>(config_.training.lanes);
}

std::int64_t AutoencoderLearner::apply(std::int64_t step) {
  const auto clipped = clip_gradients(weights_of(*encoder_, *decoder_), config_.learning.max_norm);
  encoder_optimizer_.step(learning_rate(step));
  decoder_optimizer_.step(learning_rate(step));
  if (encoder_average_) {
    move_average(*encoder_, *encoder_average_, config_.learning.average);
    move_average(*decoder_, *decoder_average_, config_.learning.average);
  }
  return clipped;
}

at::Tensor AutoencoderLearner::encode(const at::Tensor& images) {
  const torch::NoGradGuard constant;
  return (encoder_average_ ? *encoder_average_ : *encoder_).encode(images.to(device_));
}

at::Tensor AutoencoderLearner::decode(const at::Tensor& latents) {
  const torch::NoGradGuard constant;
  return (decoder_average_ ? *decoder_average_ : *decoder_).generate(latents.to(device_), BatchNormUse::off);
}

NamedTensors AutoencoderLearner::optimizer_state() const {
  auto state = prefixed("encoder.", encoder_optimizer_.state());
  for (auto& entry : prefixed("generator.", decoder_optimizer_.state())) state.push_back(std::move(entry));
  return state;
}

std::vector<WeightsPart> AutoencoderLearner::parts() const {
  const auto encoder = facts_of(config_.encoder);
  auto decoder = facts_of(config_.decoder);
  decoder["batch_norm"] = "off";
  std::vector<WeightsPart> parts;
  parts.push_back(copied_part("encoder", named_state(*encoder_), encoder));
  parts.push_back(copied_part("generator", named_state(*decoder_), decoder));
  if (encoder_average_) {
    parts.push_back(copied_part("encoder_average", named_state(*encoder_average_), encoder));
    parts.push_back(copied_part("generator_average", named_state(*decoder_average_), decoder));
  }
  parts.push_back(copied_part("optimizer", optimizer_state(), {}));
  return parts;
}

void AutoencoderLearner::restore(const WeightsFile& file) {
  read_part(file, "encoder", named_state(*encoder_));
  read_part(file, "generator", named_state(*decoder_));
  if (encoder_average_) {
    read_part(file, "encoder_average", named_state(*encoder_average_));
    read_part(file, "generator_average", named_state(*decoder_average_));
  }
  auto state = optimizer_state();
  for (auto& [name, tensor] : state) tensor = torch::empty_like(tensor);
  read_part(file, "optimizer", state);
  encoder_optimizer_.restore(chosen(state, "encoder."));
  decoder_optimizer_.restore(chosen(state, "generator."));
}

}  // namespace langrun
