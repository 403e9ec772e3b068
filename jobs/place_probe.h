// Whether somebody else's network keeps the images of a call apart, to the bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace langrun {

/// What a call gives: tensors whose row b is image b's.
using CallAnswer = std::function<std::vector<at::Tensor>(const at::Tensor& images)>;

/// Whether row b of every answer was seen to depend on image b alone, bit for bit, when the call was turned around and
/// when half of its images were others. `images` [B, C, H, W] in the shape of the calls to come; true for B = 1. Three
/// or four calls.
bool keeps_places(const at::Tensor& images, const CallAnswer& answer);

/// Images [count, C, H, W] float32 in [-1, 1] to look with: uniform, the same on every rank.
at::Tensor probe_images(std::int64_t count, std::int64_t channels, std::int64_t height, std::int64_t width);

}  // namespace langrun
