#include "core/updates.h"

#include "core/torch.h"

namespace langrun {

EnergyLaneResult energy_lane_gradients(Energy& energy, const at::Tensor& data, const at::Tensor& chains,
                                       double temperature) {
  const auto b = data.size(0);
  // One call for both halves: nothing couples samples of an energy's batch.
  const auto energies = energy.energy(torch::cat({data, chains}).detach());
  const auto data_energy = energies.narrow(0, 0, b).mean(), chain_energy = energies.narrow(0, b, chains.size(0)).mean();
  ((data_energy - chain_energy) / temperature).backward();
  return {data_energy.item<float>(), chain_energy.item<float>()};
}

float generator_lane_gradients(Generator& generator, const at::Tensor& latents, const at::Tensor& images,
                               BatchNormUse use) {
  const auto made = generator.generate(latents, use);
  const auto loss = (images.detach() - made).square().sum() / static_cast<double>(images.size(0));
  loss.backward();
  return loss.item<float>();
}

}  // namespace langrun
