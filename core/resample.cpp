#include "core/resample.h"

#include <algorithm>
#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace langrun {
namespace {

void across_generic(const Filter& filter, const std::uint8_t* row, float* out) {
  for (const auto& span : filter.spans) {
    const auto* pixel = row + span.first * 3;
    const auto* weight = filter.weights.data() + span.weights;
    for (int c = 0; c < 3; ++c) out[c] = static_cast<float>(pixel[c]) * weight[0];
    for (std::int64_t tap = 1; tap < span.count; ++tap)
      for (int c = 0; c < 3; ++c) out[c] = std::fma(static_cast<float>(pixel[tap * 3 + c]), weight[tap], out[c]);
    out += 3;
  }
}

std::uint8_t to_byte(float value) { return static_cast<std::uint8_t>(std::clamp(std::nearbyint(value), 0.0F, 255.0F)); }

void down_generic(const float* const* rows, const float* weights, std::int64_t rows_count, std::int64_t count,
                  std::uint8_t* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    float sum = rows[0][i] * weights[0];
    for (std::int64_t row = 1; row < rows_count; ++row) sum = std::fma(rows[row][i], weights[row], sum);
    out[i] = to_byte(sum);
  }
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) void across_avx2(const Filter& filter, const std::uint8_t* row, float* out) {
  // Four bytes at a time: the fourth belongs to the next pixel and its sum is written over by it.
  const auto load = [](const std::uint8_t* pixel) __attribute__((target("avx2,fma"))) {
    return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_loadu_si32(pixel)));
  };
  for (const auto& span : filter.spans) {
    const auto* pixel = row + span.first * 3;
    const auto* weight = filter.weights.data() + span.weights;
    auto sum = _mm_mul_ps(load(pixel), _mm_set1_ps(weight[0]));
    for (std::int64_t tap = 1; tap < span.count; ++tap)
      sum = _mm_fmadd_ps(load(pixel + tap * 3), _mm_set1_ps(weight[tap]), sum);
    _mm_storeu_ps(out, sum);
    out += 3;
  }
}

__attribute__((target("avx2,fma"))) void down_avx2(const float* const* rows, const float* weights,
                                                   std::int64_t rows_count, std::int64_t count, std::uint8_t* out) {
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const auto first = _mm256_set1_ps(weights[0]);
    auto low = _mm256_mul_ps(_mm256_loadu_ps(rows[0] + i), first),
         high = _mm256_mul_ps(_mm256_loadu_ps(rows[0] + i + 8), first);
    for (std::int64_t row = 1; row < rows_count; ++row) {
      const auto weight = _mm256_set1_ps(weights[row]);
      low = _mm256_fmadd_ps(_mm256_loadu_ps(rows[row] + i), weight, low);
      high = _mm256_fmadd_ps(_mm256_loadu_ps(rows[row] + i + 8), weight, high);
    }
    // Conversion rounds half to even, packing clamps; packing works in halves, hence the order mended in between.
    const auto words =
        _mm256_permute4x64_epi64(_mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high)), 0xd8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
  for (; i < count; ++i) {
    float sum = rows[0][i] * weights[0];
    for (std::int64_t row = 1; row < rows_count; ++row) sum = __builtin_fmaf(rows[row][i], weights[row], sum);
    out[i] = to_byte(sum);
  }
}

#endif

}  // namespace

Filter::Filter(std::int64_t input, std::int64_t output, std::int64_t begin, std::int64_t count) {
  const float scale = static_cast<float>(input) / static_cast<float>(output);
  const float support = std::max(scale, 1.0F), inverse = scale >= 1 ? 1 / scale : 1;
  for (auto i = begin; i < begin + count; ++i) {
    const auto center = static_cast<float>(scale * (static_cast<double>(i) + 0.5));
    FilterSpan span;
    span.first = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    span.count = std::min(static_cast<std::int64_t>(center + support + 0.5), input) - span.first;
    span.weights = weights.size();
    float total = 0;
    for (std::int64_t tap = 0; tap < span.count; ++tap) {
      const auto distance = static_cast<float>((static_cast<float>(tap + span.first) - center + 0.5) * inverse);
      weights.push_back(std::max(0.0F, 1.0F - std::abs(distance)));
      total += weights.back();
    }
    for (auto at = span.weights; at < weights.size(); ++at) weights[at] /= total;
    spans.push_back(span);
  }
}

std::vector<ResampleKernels> resample_kernels() {
  std::vector<ResampleKernels> list{{"generic", across_generic, down_generic}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list.push_back({"avx2", across_avx2, down_avx2});
#endif
  return list;
}

}  // namespace langrun
