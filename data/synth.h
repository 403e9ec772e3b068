// The procedural image set: ten kinds of coloured shapes on textured grounds. Needs no download, looks like something,
// and is the same everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/raster.h"

namespace langrun {

/// Names of the ten classes; image i is of class i mod 10.
const std::vector<std::string>& synthetic_classes();

/// Image `index` of the set keyed by `seed`, RGB, size x size: a pure function of the three. The scene does not depend
/// on the size, so a larger one shows the same in more detail.
Raster synthetic_image(std::uint64_t seed, std::uint64_t index, std::int64_t size);

}  // namespace langrun
