// Hat learning: an energy of a generator's image plus a residual, U(Y, Z) = H(G(Z) + Y) [HAT], in all its modes.
#pragma once

#include <memory>

#include "jobs/hat_config.h"
#include "jobs/training.h"

namespace langrun {

/// Builds the job on this rank: networks, generator, bank's place, data. Collective, all ranks. Throws Error(usage)
/// where settings do not fit each other or the mode (check_hat), Error(input) where the store or the generator is
/// missing, or of another size or latent length. Touches nothing on disk.
std::unique_ptr<TrainingJob> make_hat(const HatConfig& config, Communicator& world);

}  // namespace langrun
