#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "core/noise.h"
#include "core/noise_kernels.h"
#include "core/torch.h"
#include "jobs/bench.h"

namespace langrun {
namespace {

constexpr std::int64_t kLength = 3 * 32 * 32;  // one sample: the sampler makes one call for each

// The batch that noise goes to, and where the next numbers come from.
struct Batch {
  explicit Batch(std::int64_t count)
      : samples(count), x(torch::zeros({count, 3, 32, 32})), gradient(torch::randn({count, 3, 32, 32})) {}
  std::int64_t samples;
  at::Tensor x, gradient;
  std::uint32_t step = 0;
  const NoiseKey key = noise_key(1, Stream::langevin);

  double numbers() const { return static_cast<double>(samples * kLength); }

  template <class Use>
  void each_sample(const Use& use) {
    ++step;
    float* values = x.mutable_data_ptr<float>();
    const float* slopes = gradient.const_data_ptr<float>();
    for (std::int64_t b = 0; b < samples; ++b) {
      use(NoisePlace{static_cast<std::uint64_t>(b), step}, slopes + b * kLength, values + b * kLength);
    }
  }
};

void ours(Batch& batch) {
  batch.each_sample([&](NoisePlace place, const float*, float* x) { fill_normal(batch.key, place, {x, kLength}); });
}

void ours_with(Batch& batch, const NoiseKernels& table) {
  batch.each_sample([&](NoisePlace place, const float*, float* x) {
    table.normal(
        {{batch.key.words[0], batch.key.words[1]}, place.step, {static_cast<std::uint32_t>(place.identity), 0}}, x,
        kLength);
  });
}

void our_update(Batch& batch) {
  batch.each_sample([&](NoisePlace place, const float* gradient, float* x) {
    langevin_update(batch.key, place, 1e-3f, 1e-2f, {gradient, kLength}, {x, kLength});
  });
}

}  // namespace

BenchReport bench_noise(const BenchConfig& config, Communicator& world) {
  // The work of one sample is never split: this is a figure of one core.
  at::set_num_threads(1);
  const torch::NoGradGuard constant;
  BenchReport report{
      "noise", {{"batch", std::to_string(config.batch)}, {"sample", "3x32x32"}, {"threads", "1"}}, {}, {}};
  Batch batch(config.batch);
  auto last = torch::empty({config.batch, 3, 32, 32}, at::MemoryFormat::ChannelsLast);
  std::vector<BenchCase> cases{
      {"fill_normal", batch.numbers(), [&] { ours(batch); }},
      {"torch normal_, contiguous", batch.numbers(), [&] { batch.x.normal_(); }},
      {"torch normal_, channels-last", batch.numbers(), [&] { last.normal_(); }},
  };
  const auto& list = noise_kernels();
  for (int k = 0; k < list.count; ++k) {
    cases.push_back({fmt::format("fill_normal, {}", list.tables[k].name), batch.numbers(),
                     [&, k] { ours_with(batch, list.tables[k]); }});
  }
  report.figures = measure_in_turns(cases, "normals/s", config.repeats, 0.05, world);
  report.ratios.push_back(ratio_of(report.figures[0], report.figures[1]));
  report.ratios.push_back(ratio_of(report.figures[0], report.figures[2]));

  const auto updates =
      measure_in_turns({{"langevin_update", batch.numbers(), [&] { our_update(batch); }},
                        {"torch x - w g + eta randn", batch.numbers(),
                         [&] { batch.x += -1e-3 * batch.gradient + 1e-2 * torch::randn_like(batch.x); }}},
                       "elements/s", config.repeats, 0.05, world);
  report.ratios.push_back(ratio_of(updates[0], updates[1]));
  report.figures.insert(report.figures.end(), updates.begin(), updates.end());
  return report;
}

}  // namespace langrun
