// An energy that somebody else wrote: TorchScript of images, or of their score.
#pragma once

#include <memory>
#include <string>

#include "core/images.h"
#include "core/networks/energy.h"

namespace langrun {

/// A module that takes images [b, C, H, W] in [-1, 1] and returns energies [b] or [b, 1], low on data, or the score
/// [b, C, H, W] of a density, S = -grad U: then U itself is not known and counts as 0. Called once on two images. On
/// the CPU. Throws Error(input) where it cannot be loaded, does not take such images, returns anything else, couples
/// the samples of a call, or gives no gradient.
std::shared_ptr<Energy> open_scripted_energy(const std::string& path, const ImageShape& image);

/// Whether it is one of these, and a score: then nobody knows U itself.
bool is_score(const Energy& energy);

}  // namespace langrun
