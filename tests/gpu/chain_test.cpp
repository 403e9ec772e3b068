// Chains on a GPU: the kernel of a step against the processor's, the graph against its own kernels, calls side by side
// against calls one by one.
#include "tests/gpu/gpu_test.h"

#ifdef LANGRUN_HAVE_CUDA

#include <c10/cuda/CUDAStream.h>

#include <cmath>
#include <cstdlib>
#include <numeric>

#include "core/chain_kernels.h"
#include "core/chain_sampler.h"
#include "core/device_chain.h"
#include "core/device_transfer.h"
#include "core/error.h"
#include "core/networks/activation_cuda.h"
#include "core/noise.h"
#include "core/torch.h"

namespace langrun {
namespace {

const at::Device kGpu{at::kCUDA, 0};

ChainNoise noise_of(std::int64_t count, std::uint64_t first = 0) {
  ChainNoise noise{noise_key(5, Stream::langevin), {}, 4};
  for (std::int64_t b = 0; b < count; ++b)
    noise.identities.push_back(chain_identity(first + static_cast<std::uint64_t>(b), 9));
  return noise;
}

double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const auto wide = b.cpu().to(at::kDouble);
  return ((a.cpu().to(at::kDouble) - wide).norm() / wide.norm()).item<double>();
}

class ChainOnDevice : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    // As jobs/device.cpp has it.
    at::globalContext().setDeterministicAlgorithms(true, false);
    at::globalContext().setDeterministicFillUninitializedMemory(false);
    at::globalContext().setBenchmarkCuDNN(false);
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
    ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    config_.steps = 2 * kStepsOfGraph + 3;
    config_.temperature = 0.01;
  }
  void TearDown() override { at::globalContext().setDeterministicAlgorithms(false, false); }

  static at::Tensor images(std::int64_t batch, std::int64_t size, std::uint64_t seed = 1) {
    auto generator = at::detail::createCPUGenerator(seed);
    return at::randn({batch, 3, size, size}, generator, at::kFloat).mul_(0.5);
  }
  static std::shared_ptr<Energy> energy_of(const EnergyConfig& config, std::uint64_t seed = 3) {
    const torch::NoGradGuard constant;
    auto energy = make_energy(config, seed);
    for (auto& item : energy->named_parameters())
      if (item.key().ends_with("bias")) item.value().copy_(at::randn_like(item.value()).mul_(0.1));
    return energy;
  }

  LangevinConfig config_;
};

// U(x) = 1/2 sum of x^2 in slowly rising weights: a gradient that differs from element to element.
GradientFunction hilly() {
  return [](const at::Tensor& x) {
    const auto slope = x * 2;
    return EnergyGradient{(x * slope).sum({1, 2, 3}) * 0.5, slope};
  };
}

bool same_bits(const SampledChains& a, const SampledChains& b) {
  return at::equal(a.chains, b.chains) && at::equal(a.host, b.host) &&
         at::equal(a.record.gradient_magnitude, b.record.gradient_magnitude) &&
         at::equal(a.record.first_energy, b.record.first_energy) &&
         at::equal(a.record.last_energy, b.record.last_energy);
}

TEST_F(ChainOnDevice, TheKernelsUpdatesAreTheProcessors) {
  // More chains than one start takes, and a length that is not a multiple of a group.
  constexpr std::int64_t kChains = 300, kLength = 3 * 17 * 19;
  const auto options = at::TensorOptions(kGpu);
  const auto identities = at::zeros({kChains}, options.dtype(at::kLong));
  const auto steps = at::zeros({2, kChains}, options.dtype(at::kInt));
  const auto settings = at::zeros({static_cast<std::int64_t>(sizeof(ChainSettings))}, options.dtype(at::kByte));
  const auto sums = at::zeros({3, kChains}, options.dtype(at::kFloat));
  auto* const sum = sums.mutable_data_ptr<float>();
  const DeviceRows rows{static_cast<ChainSettings*>(settings.mutable_data_ptr()),
                        static_cast<std::uint64_t*>(identities.mutable_data_ptr()),
                        static_cast<std::uint32_t*>(steps.mutable_data_ptr()),
                        static_cast<std::uint32_t*>(steps.mutable_data_ptr()) + kChains,
                        sum,
                        sum + kChains,
                        sum + 2 * kChains,
                        kChains,
                        kLength};
  const auto start = images(kChains, 1).new_empty({kChains, kLength}).normal_();
  const auto gradient = at::sin(start * 7), energy = at::arange(kChains, at::kFloat);
  auto x = start.to(kGpu);
  const auto device_gradient = gradient.to(kGpu), device_energy = energy.to(kGpu);
  const auto noise = noise_of(kChains);
  auto* const stream = c10::cuda::getCurrentCUDAStream().stream();
  // Chains of two ages; all stay where they are once they have come to place 3.
  std::vector<std::uint32_t> starts(kChains);
  for (std::size_t b = 0; b < starts.size(); ++b) starts[b] = b % 2;
  constexpr std::uint32_t kEnd = 3;
  begin_chains(rows, {{noise.key.words[0], noise.key.words[1]}, kEnd, 0.5f, 0.01f, 0.0f}, noise.identities, starts,
               stream);
  constexpr std::uint32_t kSteps = 3;
  for (std::uint32_t k = 0; k < kSteps; ++k)
    move_chains(rows, (device_energy + static_cast<double>(k)).const_data_ptr<float>(),
                device_gradient.const_data_ptr<float>(), x.mutable_data_ptr<float>(), stream);
  auto expected = start.clone();
  for (std::int64_t b = 0; b < kChains; ++b)
    for (std::uint32_t k = starts[static_cast<std::size_t>(b)]; k < kEnd; ++k)
      langevin_update(noise.key, {noise.identities[static_cast<std::size_t>(b)], k}, 0.5f, 0.01f,
                      {gradient.const_data_ptr<float>() + b * kLength, kLength},
                      {expected.mutable_data_ptr<float>() + b * kLength, kLength});
  EXPECT_TRUE(at::equal(x.cpu(), expected));
  const auto moved = at::where(at::arange(kChains) % 2 == 0, 3.0, 2.0).to(at::kFloat);
  EXPECT_LT(relative_difference(sums[0], gradient.norm(2, 1) * moved * 0.5), 1e-6);
  EXPECT_TRUE(at::equal(sums[1].cpu(), energy));
  EXPECT_TRUE(at::equal(sums[2].cpu(), energy + moved - 1));
}

TEST_F(ChainOnDevice, ClipsEachChainAlone) {
  auto start = images(3, 8);
  start[1] *= 100;
  config_.max_norm = 0.1;
  const auto on_host = run_langevin(hilly(), start, config_, noise_of(3));
  DeviceChain chain(hilly(), start.sizes(), kGpu);
  const auto sampled = chain.start(start, config_, noise_of(3));
  chain.finish();
  EXPECT_LT(relative_difference(sampled.chains, on_host), 1e-5);
}

TEST_F(ChainOnDevice, GraphsOfEachEnergyKeepToTheProcessorAndToTheirKernels) {
  for (const EnergyConfig& config :
       {EnergyConfig{"light", 16}, EnergyConfig{"sngan32", 16}, EnergyConfig{"biggan64", 8}}) {
    const auto energy = energy_of(config);
    const auto start = images(4, energy->input().height);
    FrozenEnergy on_host(config, "fp32", at::kCPU);
    on_host.refresh(*energy);
    LangevinRecord expected;
    const auto chains = run_langevin([&](const at::Tensor& x) { return on_host.energy_and_gradient(x); }, start,
                                     config_, noise_of(4), &expected);
    for (const auto* precision : {"fp32", "tf32", "bf16"}) {
      SCOPED_TRACE(config.network + " " + precision);
      FrozenEnergy frozen(config, precision, kGpu);
      frozen.refresh(*energy);
      const auto gradient = [&](const at::Tensor& x) { return frozen.energy_and_gradient(x); };
      DeviceChain graph(gradient, start.sizes(), kGpu), kernels(gradient, start.sizes(), kGpu, StepQueue::kernels);
      const auto a = graph.start(start, config_, noise_of(4));
      graph.finish();
      const auto b = kernels.start(start, config_, noise_of(4));
      kernels.finish();
      EXPECT_TRUE(same_bits(a, b));
      EXPECT_EQ(graph.captures(), 2);
      EXPECT_EQ(kernels.captures(), 0);
      const bool exact = precision == std::string("fp32");
      EXPECT_LT(relative_difference(a.chains, chains), exact ? 1e-4 : 0.05);
      EXPECT_LT(relative_difference(a.record.gradient_magnitude, expected.gradient_magnitude), exact ? 1e-3 : 0.25);
      EXPECT_TRUE(at::equal(a.host, a.chains.cpu()));
      // The same call again, and one of the same images in other places.
      const auto again = graph.start(start, config_, noise_of(4));
      graph.finish();
      EXPECT_TRUE(same_bits(again, a));
    }
  }
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
}

TEST_F(ChainOnDevice, OneCaptureServesAnySettingsAndWeights) {
  const EnergyConfig config{"light", 16};
  const auto first = energy_of(config, 3), second = energy_of(config, 4);
  FrozenEnergy frozen(config, "fp32", kGpu);
  const auto gradient = [&](const at::Tensor& x) { return frozen.energy_and_gradient(x); };
  const auto start = images(4, 32);
  DeviceChain graph(gradient, start.sizes(), kGpu), kernels(gradient, start.sizes(), kGpu, StepQueue::kernels);
  const auto expect_same = [&](const LangevinConfig& langevin, const ChainNoise& noise) {
    const auto a = graph.start(start, langevin, noise);
    graph.finish();
    const auto b = kernels.start(start, langevin, noise);
    kernels.finish();
    EXPECT_TRUE(same_bits(a, b));
    return a.chains;
  };
  frozen.refresh(*first);
  const auto before = expect_same(config_, noise_of(4));
  frozen.refresh(*second);
  EXPECT_FALSE(at::equal(expect_same(config_, noise_of(4)), before));
  auto other = config_;
  other.steps = kStepsOfGraph - 1;
  other.temperature = 0.02;
  other.max_norm = 0.01;
  auto noise = noise_of(4, 70);
  noise.key = noise_key(6, Stream::sample);
  noise.first_step = 1000;
  expect_same(other, noise);
  EXPECT_EQ(graph.captures(), 2);
}

TEST_F(ChainOnDevice, CallsSideBySideHaveTheBitsOfCallsOneByOne) {
  const EnergyConfig config{"sngan32", 16};
  const auto energy = energy_of(config);
  ChainSampler together(config, "bf16", kGpu), alone(config, "bf16", kGpu, 1);
  together.refresh(*energy);
  alone.refresh(*energy);
  constexpr std::uint64_t kCalls = 2 * ChainSampler::kCallsAtOnce + 1;
  for (int round = 0; round < 2; ++round) {
    std::vector<SampledChains> sampled;
    for (std::uint64_t call = 0; call < kCalls; ++call)
      sampled.push_back(together.start(to_device(images(4, 32, call), kGpu), config_, noise_of(4, 10 * call)));
    together.finish();
    for (std::uint64_t call = 0; call < kCalls; ++call) {
      const auto chains = alone.run(images(4, 32, call), config_, noise_of(4, 10 * call));
      EXPECT_TRUE(at::equal(sampled[call].chains, chains)) << call;
      EXPECT_TRUE(at::equal(sampled[call].host, chains.cpu())) << call;
    }
  }
}

TEST_F(ChainOnDevice, PlacesInABatchDoNotMatter) {
  const EnergyConfig config{"light", 16};
  ChainSampler sampler(config, "bf16", kGpu);
  sampler.refresh(*energy_of(config));
  const auto start = images(4, 32);
  auto noise = noise_of(4), turned = noise;
  const auto order = at::tensor({2, 0, 3, 1}, at::kLong);
  for (std::size_t i = 0; i < 4; ++i)
    turned.identities[i] =
        noise.identities[static_cast<std::size_t>(order[static_cast<std::int64_t>(i)].item<std::int64_t>())];
  const auto a = sampler.run(start, config_, noise).cpu();
  const auto b = sampler.run(start.index_select(0, order), config_, turned).cpu();
  EXPECT_TRUE(at::equal(a.index_select(0, order), b));
}

TEST_F(ChainOnDevice, AFailedCaptureLeavesTheGpuUsable) {
  int calls = 0;
  const auto start = images(2, 8);
  // Steps 1 and 2 warm up; the third is captured.
  DeviceChain broken(
      [&](const at::Tensor& x) {
        if (++calls > 2) throw Error(ExitCode::internal, "broken");
        return hilly()(x);
      },
      start.sizes(), kGpu);
  EXPECT_THROW(broken.start(start, config_, noise_of(2)), Error);
  DeviceChain whole(hilly(), start.sizes(), kGpu);
  const auto sampled = whole.start(start, config_, noise_of(2));
  whole.finish();
  EXPECT_TRUE(at::isfinite(sampled.chains).all().item<bool>());
}

TEST_F(ChainOnDevice, BiasAndActivationInOnePass) {
  for (const auto type : {at::kFloat, at::kBFloat16})
    for (const std::int64_t channels : {12, 32}) {
      auto y = images(5, 16).new_empty({1000, channels}).normal_().to(kGpu, type);
      const auto bias = at::randn({channels}).to(kGpu, type);
      const auto expected = at::leaky_relu(y.to(at::kFloat) + bias.to(at::kFloat), 0.05).to(type);
      auto* const stream = c10::cuda::getCurrentCUDAStream().stream();
      if (type == at::kFloat)
        add_bias_and_bend(y.mutable_data_ptr<float>(), bias.const_data_ptr<float>(), y.numel(), channels, 0.05f,
                          stream);
      else
        add_bias_and_bend(static_cast<std::uint16_t*>(y.mutable_data_ptr()),
                          static_cast<const std::uint16_t*>(bias.const_data_ptr()), y.numel(), channels, 0.05f, stream);
      EXPECT_TRUE(at::equal(y, expected)) << channels << ' ' << type;
    }
}

}  // namespace
}  // namespace langrun

#endif
