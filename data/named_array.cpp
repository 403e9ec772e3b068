#include "data/named_array.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include <memory>

namespace langrun {

std::int64_t elements(const ArrayShape& shape) {
  std::int64_t n = 1;
  for (const auto extent : shape) n *= extent;
  return n;
}

std::string to_text(const ArrayShape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::string weights_checksum(const std::vector<NamedArray>& arrays) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  for (const auto& array : arrays) {
    const auto head = fmt::format("{}{};", array.name, to_text(array.shape));
    XXH3_128bits_update(state.get(), head.data(), head.size());
    XXH3_128bits_update(state.get(), array.data().data(), array.data().size_bytes());
  }
  const auto digest = XXH3_128bits_digest(state.get());
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

}  // namespace langrun
