#include "jobs/place_probe.h"

#include "core/noise.h"
#include "core/torch.h"

namespace langrun {

bool keeps_places(const at::Tensor& images, const CallAnswer& answer) {
  const auto call = images.size(0), half = call / 2;
  if (call == 1) return true;
  const auto format = images.suggest_memory_format();
  const auto seen = answer(images);
  const auto kept = [&](const std::vector<at::Tensor>& one, std::int64_t first, std::int64_t end) {
    for (std::size_t i = 0; i < seen.size(); ++i)
      if (!at::equal(one[i].slice(0, first, end), seen[i].slice(0, first, end))) return false;
    return true;
  };
  auto turned = answer(images.flip(0).contiguous(format));
  for (auto& one : turned) one = one.flip(0);
  if (!kept(turned, 0, call)) return false;
  // Other neighbours too: statistics of a call are the same in every order of it.
  const auto other = -images;
  const auto ahead = at::cat({images.slice(0, 0, half), other.slice(0, half)}).contiguous(format);
  const auto behind = at::cat({other.slice(0, 0, half), images.slice(0, half)}).contiguous(format);
  return kept(answer(ahead), 0, half) && kept(answer(behind), half, call);
}

at::Tensor probe_images(std::int64_t count, std::int64_t channels, std::int64_t height, std::int64_t width) {
  auto images = torch::empty({count, channels, height, width});
  fill_uniform(noise_key(0, Stream::weights), {},
               {images.mutable_data_ptr<float>(), static_cast<std::size_t>(images.numel())});
  return images * 2 - 1;
}

}  // namespace langrun
