// What a picture marks on a grid of chains beside the images themselves.
#pragma once

#include <vector>

namespace langrun {

/// Each empty where a panel does not have it.
struct PanelMarks {
  std::vector<float> bars;       ///< [count] in [0, 1], length of a bar under each image
  std::vector<bool> framed;      ///< [count] images that get a frame
  std::vector<float> histogram;  ///< counts, drawn as bars under the grid
};

}  // namespace langrun
