// Blocks of chains: where they begin, how they walk, and what is kept of them.
#include "jobs/chain_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/device_transfer.h"
#include "core/langevin.h"
#include "core/networks/energy.h"
#include "core/torch.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "data/png.h"
#include "data/seal.h"
#include "jobs/bank_file.h"
#include "jobs/finite_source.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/sample_state.h"
#include "tests/unit/import_support.h"
#include "tests/unit/networks_support.h"
#include "tests/unit/weights_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::Scratch;

const EnergyConfig kNetwork{"light", 4};
const NoiseKey kKey = noise_key(1, Stream::sample);
const ImageShape kImage{3, 32, 32};

SampleConfig untrained() {
  SampleConfig config;
  config.energy.untrained = kNetwork;
  config.langevin = {0, 1e-2, 1e-4, 0};
  config.energy.temperature = 1e-4;
  config.count = 7;
  config.call = 3;
  config.device = "cpu";
  return config;
}

ChainBlock walked(ChainBlocks& blocks, std::int64_t number, std::initializer_list<std::int64_t> stops) {
  auto block = blocks.begin(number);
  for (const auto stop : stops)
    while (block.step < stop) blocks.advance(block, stop);
  return block;
}

TEST(ChainBlocks, WalkAsOneCallOfTheSamplerDoes) {
  const auto config = untrained();
  auto world = make_solo_communicator();
  ChainBlocks blocks(config, *world);
  EXPECT_EQ(blocks.blocks(), 3);
  const auto begun = blocks.begin(1);
  const auto block = walked(blocks, 1, {27});
  const auto energy = make_energy(kNetwork, 1);
  FrozenEnergy frozen(kNetwork, "fp32", at::kCPU);
  frozen.refresh(*energy);
  LangevinRecord record;
  auto langevin = config.langevin;
  langevin.steps = 27;
  ChainNoise noise{kKey, {chain_identity(3, 1), chain_identity(4, 1), chain_identity(5, 1)}, 0};
  const auto whole = run_langevin([&](const at::Tensor& x) { return frozen.energy_and_gradient(x); }, begun.chains,
                                  langevin, noise, &record);
  EXPECT_TRUE(torch::equal(block.chains, whole));
  for (int i = 0; i < 3; ++i)
    EXPECT_NEAR(block.magnitudes[static_cast<std::size_t>(i)] / 27, record.gradient_magnitude[i].item<double>(), 1e-7);
  const auto wanted = energy->energy(whole);
  for (int i = 0; i < 3; ++i)
    EXPECT_NEAR(blocks.energies(block)[static_cast<std::size_t>(i)], wanted[i].item<float>(), 1e-5);
}

TEST(ChainBlocks, GoOnWithTheSameBitsWhereverTheyWerePutDown) {
  const auto config = untrained();
  auto world = make_solo_communicator();
  ChainBlocks blocks(config, *world);
  const auto whole = walked(blocks, 2, {35});
  const auto half = walked(blocks, 2, {20});
  auto again = blocks.take_up(2, half.step, half.chains.contiguous(), {}, half.magnitudes);
  while (again.step < 35) blocks.advance(again, 35);
  EXPECT_TRUE(torch::equal(again.chains, whole.chains));
  EXPECT_EQ(again.magnitudes, whole.magnitudes);
}

TEST(ChainBlocks, AChainThatIsNotFiniteIsNamed) {
  auto config = untrained();
  config.langevin.eta = 1e3;
  config.energy.temperature = 1e-33;
  auto world = make_solo_communicator();
  ChainBlocks blocks(config, *world);
  auto block = blocks.begin(1);
  const auto error = error_of(ExitCode::diverged, [&] {
    for (int i = 0; i < 20; ++i) blocks.advance(block, 200);
  });
  EXPECT_TRUE(error.starts_with("chain 3 is not finite after ")) << error;
}

// E = (U/T + U_prior/T_prior) / J + ||x||^2 / (2 tau^2); samplers work with T J grad E.
TEST(SampledEnergy, HasAllTermsOfItsFile) {
  const Scratch scratch;
  const auto energy = make_energy(kNetwork, 1), prior = make_energy(kNetwork, 2);
  auto facts = facts_of(kNetwork), prior_facts = facts;
  facts["temperature"] = "0.0001";
  facts["tau"] = "0.15";
  prior_facts["temperature"] = "0.0003";
  std::vector<WeightsPart> parts;
  parts.push_back(copied_part("energy", named_state(*energy), facts));
  parts.push_back(copied_part("prior", named_state(*prior), prior_facts));
  write_weights_file(scratch / "w.h5", parts);
  SampledEnergyConfig config;
  config.file = scratch / "w.h5";
  config.temperature = 2e-4;
  config.joint_temperature = 1.5;
  const auto check = [&](SampledEnergy& sampled) {
    const auto x = some_images(2, 32).contiguous(at::MemoryFormat::ChannelsLast);
    const auto found = sampled.sampler().gradient(x).gradient;
    const auto wanted = energy->energy_and_gradient(x).gradient + 2e-4 / 3e-4 * prior->energy_and_gradient(x).gradient +
                        2e-4 * 1.5 / (0.15 * 0.15) * x;
    EXPECT_LT(relative_difference(found, wanted), 1e-5);
    EXPECT_DOUBLE_EQ(sampled.temperature(), 3e-4);
  };
  SampledEnergy sampled(config, at::kCPU);
  check(sampled);
  // What a sampling keeps in its folder is the same energy.
  write_weights_file(scratch / "kept.h5", sampled.parts());
  config.file = scratch / "kept.h5";
  SampledEnergy kept(config, at::kCPU);
  check(kept);
}

TEST(FiniteSource, OfABankGivesSlotsInOrder) {
  const Scratch scratch;
  std::vector<float> images(2 * 3 * 4 * 4);
  for (std::int64_t lane = 0; lane < 2; ++lane) {
    // Slots lane + 2 row: 0 and 2, and 1.
    const std::uint64_t rows = lane == 0 ? 2 : 1;
    for (std::size_t i = 0; i < images.size(); ++i)
      images[i] = static_cast<float>(lane) + 2 * static_cast<float>(i / 48) + static_cast<float>(i % 48) / 100;
    auto file = h5::File::create(scratch / bank_file_name(lane));
    file.write("/update/images", {rows, 3, 4, 4}, images.data());
    file.write_attribute("/update", "lanes", std::int64_t{2});
    file.write_attribute("/update", "lane", lane);
    file.close();
  }
  const auto source = make_bank_source(scratch / "", "auto", {3, 4, 4});
  EXPECT_EQ(source->count(), 3);
  const auto found = source->fresh({1, 2, 0, 4}, 0, kKey).images;
  for (const auto& [row, slot] : {std::pair{0, 1}, {1, 2}, {2, 0}, {3, 1}}) {
    EXPECT_FLOAT_EQ(found[row][0][0][0].item<float>(), static_cast<float>(slot));
    EXPECT_FLOAT_EQ(found[row][2][3][3].item<float>(), static_cast<float>(slot) + 0.47f);
  }
  error_of(ExitCode::input, [&] { make_bank_source(scratch / "", "auto", kImage); });
  error_of(ExitCode::input, [&] { make_bank_source(scratch / "", "burn_in", {3, 4, 4}); });
  std::filesystem::remove(scratch / bank_file_name(1));
  error_of(ExitCode::input, [&] { make_bank_source(scratch / "", "auto", {3, 4, 4}); });
}

TEST(FiniteSource, OfAStoreGivesEveryImageOnce) {
  const Scratch scratch;
  std::vector<std::uint8_t> pixels(9 * 4 * 4 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i / 48);
  auto file = h5::File::create(scratch / "s.h5");
  file.write("/images", {9, 4, 4, 3}, pixels.data());
  file.write("/labels", {9}, std::vector<std::int64_t>(9, 0).data());
  file.write_attribute("/", "classes", std::vector<std::string>{"all"});
  file.close();
  const auto order_of = [&](std::optional<std::uint64_t> seed) {
    const auto source = make_store_source(scratch / "s.h5", {3, 4, 4}, seed);
    std::vector<int> order;
    const auto images = source->fresh({0, 1, 2, 3, 4, 5, 6, 7, 8}, 0, kKey).images;
    for (int i = 0; i < 9; ++i)
      order.push_back(static_cast<int>(std::lround((images[i][0][0][0].item<float>() + 1) * 127.5)));
    return order;
  };
  const std::vector<int> all{0, 1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(order_of(std::nullopt), all);
  auto drawn = order_of(4);
  EXPECT_NE(drawn, all);
  EXPECT_NE(drawn, order_of(5));
  std::sort(drawn.begin(), drawn.end());
  EXPECT_EQ(drawn, all);
}

TEST(FiniteSource, OfAFolderWantsItsImagesToFit) {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "folder");
  write_png(scratch / "folder/a.png", 12, 8, 3, std::vector<std::uint8_t>(8 * 12 * 3, 255));
  const ImageShape small{3, 8, 8};
  const auto plain = make_images_source(scratch / "folder", false, small);
  EXPECT_EQ(plain->count(), 1);
  const auto error = error_of(ExitCode::input, [&] { plain->fresh({0}, 0, kKey); });
  EXPECT_NE(error.find("8x12"), std::string::npos) << error;
  const auto resized = make_images_source(scratch / "folder", true, small)->fresh({0, 1}, 0, kKey).images;
  EXPECT_TRUE(torch::equal(resized, torch::ones({2, 3, 8, 8})));
}

TEST(FiniteSource, OfATarGivesItsImagesInAnyOrder) {
  const test::ScratchFolder scratch;
  test::TarMaker tar;
  for (const std::uint8_t i : {2, 0, 1}) tar.add("a/" + std::to_string(i) + ".png", test::marked_png(i));
  test::write_file(scratch / "x.tar", tar.finish());
  ASSERT_EQ(std::system(("gzip -k " + (scratch / "x.tar").string()).c_str()), 0);
  const ImageShape small{3, 8, 8};
  const auto plain = make_images_source(scratch / "x.tar", false, small),
             packed = make_images_source(scratch / "x.tar.gz", false, small);
  const auto all = plain->fresh({0, 1, 2}, 0, kKey).images;
  EXPECT_FALSE(torch::equal(all[0], all[2]));
  // Slots behind the last begin from the front again.
  const auto wanted = all.index_select(0, torch::tensor({2, 0, 2, 1, 0}));
  for (const auto& source : {plain.get(), packed.get()})
    EXPECT_TRUE(torch::equal(source->fresh({2, 0, 5, 1, 3}, 0, kKey).images, wanted));
}

TEST(SampleState, ComesBackAsItWas) {
  const Scratch scratch;
  const ImageShape image{3, 2, 2};
  BlockState state{4, 12, std::vector<float>(24, 0.25f), {5, 6, 7, 8}, {1.5, 2.5}, {{{1, 2}, {3, 4}, {9, 10}}}};
  write_block(scratch / "", state, image);
  const auto back = read_block(scratch / "", 4, 2, image);
  EXPECT_EQ(back.step, 12);
  EXPECT_EQ(back.chains, state.chains);
  EXPECT_EQ(back.magnitudes, state.magnitudes);
  ASSERT_EQ(back.columns.size(), 1u);
  EXPECT_EQ(back.columns[0].magnitude, state.columns[0].magnitude);
  EXPECT_EQ(back.columns[0].residual, state.columns[0].residual);
  EXPECT_EQ(back.latents, state.latents);
  // Before any listed step, and over what was there.
  state.columns.clear();
  write_block(scratch / "", state, image);
  EXPECT_TRUE(read_block(scratch / "", 4, 2, image).columns.empty());
  error_of(ExitCode::storage, [&] { read_block(scratch / "", 4, 2, {3, 4, 4}); });
  error_of(ExitCode::storage, [&] { read_block(scratch / "", 5, 2, image); });
  auto file = h5::File::open_to_add(block_file(scratch / "", 4));
  auto chains = file.dataset("/chains");
  state.chains[7] = 0.26f;
  chains.write_all(h5::Type::f32, state.chains.data());
  file.close();
  error_of(ExitCode::storage, [&] { read_block(scratch / "", 4, 2, image); });
}

// The same content as an older langrun wrote it: no seal, nor an attribute that says that one belongs there.
void write_without_seal(const std::filesystem::path& path, const BlockState& state, const ImageShape& image,
                        const std::string& checksum) {
  std::filesystem::remove(path);
  const auto call = static_cast<std::uint64_t>(state.magnitudes.size());
  auto file = h5::File::create(path);
  file.write("/chains",
             {call, static_cast<std::uint64_t>(image.channels), static_cast<std::uint64_t>(image.height),
              static_cast<std::uint64_t>(image.width)},
             state.chains.data());
  file.write("/magnitudes", {call}, state.magnitudes.data());
  file.write("/energy", {1, call}, state.columns[0].energy.data());
  file.write("/gradient_magnitude", {1, call}, state.columns[0].magnitude.data());
  file.write_attribute("/", "step", state.step);
  file.write_attribute("/", "checksum", checksum);
  file.close();
}

TEST(SampleState, IsSealedAndOlderFilesAreRead) {
  const Scratch scratch;
  const ImageShape image{3, 2, 2};
  BlockState state{4, 12, std::vector<float>(24, 0.25f), {}, {1.5, 2.5}, {{{1, 2}, {3, 4}, {}}}};
  write_block(scratch / "", state, image);
  const auto path = block_file(scratch / "", 4);
  EXPECT_TRUE(check_seal(path));
  const auto good = read_text(path);
  for (std::size_t at = 0; at < good.size(); at += 37) {
    auto damaged = good;
    damaged[at] = static_cast<char>(damaged[at] ^ 1 << at % 8);
    test::write_file(path, std::string_view(damaged));
    const auto error = error_of(ExitCode::storage, [&] { read_block(scratch / "", 4, 2, image); });
    EXPECT_NE(error.find("block-000004.h5"), std::string::npos) << error;
  }
  test::write_file(path, std::string_view(good));
  const auto checksum = h5::File::open(path).read_text_attribute("/", "checksum");
  write_without_seal(path, state, image, checksum);
  EXPECT_FALSE(check_seal(path));
  EXPECT_EQ(read_block(scratch / "", 4, 2, image).chains, state.chains);
  state.chains[7] = 0.26f;
  write_without_seal(path, state, image, checksum);
  error_of(ExitCode::storage, [&] { read_block(scratch / "", 4, 2, image); });
}

}  // namespace
}  // namespace langrun
