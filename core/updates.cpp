#include "core/updates.h"

#include "core/torch.h"

namespace langrun {

namespace {

/// Pixels of images of which the maps of a call for backward (biggan224: 100 MB an image) outweigh what one call more
/// costs.
constexpr std::int64_t kHalvesFrom = 160 * 160;

/// One side's part of the loss: sign +1 of data, -1 of chains.
at::Tensor half_loss(const at::Tensor& energies, double sign, double temperature, EnergyLoss loss) {
  if (loss == EnergyLoss::likelihood) return energies.mean() * sign / temperature;
  return at::softplus(energies * (sign / temperature)).mean();
}

// Data and chains one after the other: half of the maps are held at a time. Only the second is a backward pass into the
// weights: who watches their gradients is told once of each, when it is complete.
EnergyLaneResult gradients_by_halves(Energy& energy, const at::Tensor& data, const at::Tensor& chains,
                                     double temperature, EnergyLoss loss) {
  const auto weights = energy.parameters();
  EnergyLaneResult result{};
  {
    const auto energies = energy.energy(data.detach());
    const auto half = half_loss(energies, 1, temperature, loss);
    const auto gradients = torch::autograd::grad({half}, weights);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      auto& gradient = weights[i].mutable_grad();
      gradient = gradient.defined() ? gradient + gradients[i] : gradients[i];
    }
    result.data_energy = energies.mean().item<float>();
    result.loss = half.item<float>();
  }
  const auto energies = energy.energy(chains.detach());
  const auto half = half_loss(energies, -1, temperature, loss);
  half.backward();
  result.chain_energy = energies.mean().item<float>();
  result.loss += half.item<float>();
  return result;
}

}  // namespace

EnergyLaneResult energy_lane_gradients(Energy& energy, const at::Tensor& data, const at::Tensor& chains,
                                       double temperature, EnergyLoss loss) {
  if (data.size(2) * data.size(3) >= kHalvesFrom) return gradients_by_halves(energy, data, chains, temperature, loss);
  const auto b = data.size(0);
  // One call for both halves: nothing couples samples of an energy's batch.
  const auto energies = energy.energy(torch::cat({data, chains}).detach());
  const auto of_data = energies.narrow(0, 0, b), of_chains = energies.narrow(0, b, chains.size(0));
  const auto whole = half_loss(of_data, 1, temperature, loss) + half_loss(of_chains, -1, temperature, loss);
  whole.backward();
  return {of_data.mean().item<float>(), of_chains.mean().item<float>(), whole.item<float>()};
}

float generator_lane_gradients(Generator& generator, const at::Tensor& latents, const at::Tensor& images,
                               BatchNormUse use, double weight) {
  const auto made = generator.generate(latents, use);
  const auto loss = (images.detach() - made).square().sum() * (weight / static_cast<double>(images.size(0)));
  loss.backward();
  return loss.item<float>();
}

ClassifierLaneResult classifier_lane_gradients(Classifier& classifier, const at::Tensor& images,
                                               const at::Tensor& labels) {
  const auto logits = classifier.logits(images.detach());
  const auto loss = at::cross_entropy_loss(logits, labels);
  loss.backward();
  const auto correct = (logits.detach().argmax(1) == labels).sum();
  return {loss.item<float>(), static_cast<float>(correct.item<std::int64_t>())};
}

}  // namespace langrun
