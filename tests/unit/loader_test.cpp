#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "core/noise.h"
#include "data/store_writer.h"
#include "import_support.h"

namespace langrun {
namespace {

using test::code_of;
using test::Octets;
using test::ScratchFolder;
constexpr std::uint64_t kCount = 23;

/// A store of 2 x 3 images, each filled from its index on.
std::filesystem::path make_store(const ScratchFolder& scratch) {
  const StoreTarget target(scratch / "s.h5", 1);
  target.prepare();
  ShardWriter writer(target.shard_path(0), kCount);
  StoreTarget::Contents contents{{3, 2, 3}, {kCount}, {}, {"a", "b", "c"}, {}};
  for (std::uint64_t i = 0; i < kCount; ++i) {
    Octets pixels(18);
    for (std::size_t p = 0; p < 18; ++p) pixels[p] = static_cast<std::uint8_t>(i * 9 + p);
    writer.put(i, contents.shape, pixels);
    contents.labels.push_back(static_cast<std::int64_t>(i % 3));
  }
  writer.finish();
  target.publish(contents);
  return scratch / "s.h5";
}

LoaderSettings settings_of(std::vector<std::int64_t> own) {
  LoaderSettings settings;
  settings.seed = 5;
  settings.batch = 8;
  settings.lanes = 4;
  settings.own = std::move(own);
  return settings;
}

TEST(Loader, GivesThePositionsOfTheStream) {
  const ScratchFolder scratch;
  const auto store = ImageStore::open(make_store(scratch));
  Loader loader(store, settings_of({0, 1, 2, 3}));
  SampleOrder order(5, kCount);
  for (std::int64_t step = 1; step <= 9; ++step) {
    const auto batch = loader.next();
    ASSERT_EQ(batch.step, step);
    ASSERT_EQ(batch.indices.size(), 8U);
    for (std::uint64_t i = 0; i < 8; ++i) {
      const auto index = order(static_cast<std::uint64_t>(step - 1) * 8 + i);
      EXPECT_EQ(batch.indices[i], index);
      EXPECT_EQ(batch.images[i * 18], static_cast<std::uint8_t>(index * 9));
      EXPECT_EQ(batch.images[i * 18 + 17], static_cast<std::uint8_t>(index * 9 + 17));
      EXPECT_EQ(batch.labels[i], static_cast<std::int64_t>(index % 3));
    }
  }
}

TEST(Loader, AnEpochHasEveryImageOnce) {
  SampleOrder order(5, kCount);
  std::vector<std::uint64_t> first, second;
  for (std::uint64_t p = 0; p < kCount; ++p) first.push_back(order(p));
  for (std::uint64_t p = 0; p < kCount; ++p) second.push_back(order(kCount + p));
  EXPECT_EQ(std::set(first.begin(), first.end()).size(), kCount);
  EXPECT_EQ(std::set(second.begin(), second.end()).size(), kCount);
  EXPECT_NE(first, second);
}

TEST(Loader, LanesDoNotDependOnWhoOwnsThem) {
  const ScratchFolder scratch;
  const auto store = ImageStore::open(make_store(scratch));
  auto settings = settings_of({0, 1, 2, 3});
  settings.flip = true;
  Loader whole(store, settings);
  settings.own = {2, 3};
  Loader half(store, settings);
  settings.first_step = 3;
  Loader resumed(store, settings);
  for (int step = 1; step <= 4; ++step) {
    const auto all = whole.next(), own = half.next();
    EXPECT_TRUE(std::equal(own.images.begin(), own.images.end(), all.images.begin() + 4 * 18));
    EXPECT_TRUE(std::equal(own.labels.begin(), own.labels.end(), all.labels.begin() + 4));
    if (step < 3) continue;
    EXPECT_EQ(resumed.next().images, own.images);
  }
}

TEST(Loader, FlipsAreKeyedByPosition) {
  const ScratchFolder scratch;
  const auto store = ImageStore::open(make_store(scratch));
  auto settings = settings_of({0, 1, 2, 3});
  Loader plain(store, settings);
  settings.flip = true;
  Loader flipped(store, settings);
  int mirrored = 0;
  for (std::uint64_t step = 0; step < 50; ++step) {
    const auto before = plain.next(), after = flipped.next();
    for (std::uint64_t i = 0; i < 8; ++i) {
      const bool turn = uniform_integer(noise_key(5, Stream::data_flip), {step * 8 + i, 0}, 0, 2) == 1;
      mirrored += turn;
      for (std::size_t y = 0; y < 2; ++y)
        for (std::size_t x = 0; x < 3; ++x)
          for (std::size_t c = 0; c < 3; ++c)
            ASSERT_EQ(after.images[i * 18 + y * 9 + x * 3 + c],
                      before.images[i * 18 + y * 9 + (turn ? 2 - x : x) * 3 + c]);
    }
  }
  EXPECT_GT(mirrored, 150);
  EXPECT_LT(mirrored, 250);
}

TEST(Loader, RefusesWhatDoesNotDivide) {
  const ScratchFolder scratch;
  const auto store = ImageStore::open(make_store(scratch));
  const auto refuses = [&](auto&& change) {
    auto settings = settings_of({0});
    change(settings);
    EXPECT_EQ(code_of([&] { Loader loader(store, settings); }), static_cast<int>(ExitCode::usage));
  };
  refuses([](auto& s) { s.batch = 13; });
  refuses([](auto& s) { s.own = {4}; });
  refuses([](auto& s) { s.ahead = 0; });
  refuses([](auto& s) { s.first_step = 0; });
}

TEST(Loader, AReadErrorSurfacesInNext) {
  const ScratchFolder scratch;
  const auto path = make_store(scratch);
  // The chunk index is read with the first image, after the store was opened and found good.
  std::ifstream in(path, std::ios::binary);
  Octets bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::string chunk_tree{'T', 'R', 'E', 'E', '\x01'};
  auto found = bytes.begin();
  int broken = 0;
  while ((found = std::search(found, bytes.end(), chunk_tree.begin(), chunk_tree.end())) != bytes.end()) {
    *found = 'X';
    ++broken;
  }
  ASSERT_GT(broken, 0);
  test::write_file(scratch / "bad.h5", bytes);
  const auto store = ImageStore::open(scratch / "bad.h5");
  Loader loader(store, settings_of({0}));
  EXPECT_EQ(code_of([&] { loader.next(); }), static_cast<int>(ExitCode::input));
  EXPECT_EQ(code_of([&] { loader.next(); }), static_cast<int>(ExitCode::input)) << "and again";
}

TEST(Loader, UnitRangeInBothLayouts) {
  const ImageShape shape{3, 1, 2};
  const Octets pixels{0, 51, 102, 153, 204, 255};
  std::vector<float> out(6);
  to_unit_range(pixels, shape, Layout::pixel_major, out);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(out[i], static_cast<float>(pixels[i]) / 127.5F - 1.0F);
  EXPECT_EQ(out.front(), -1.0F);
  EXPECT_EQ(out.back(), 1.0F);
  std::vector<float> planes(6);
  to_unit_range(pixels, shape, Layout::channel_major, planes);
  EXPECT_EQ(planes, (std::vector<float>{out[0], out[3], out[1], out[4], out[2], out[5]}));
}

TEST(Loader, TellsHowLongStepsWaited) {
  const ScratchFolder scratch;
  const auto store = ImageStore::open(make_store(scratch));
  // Somebody else is in the library for a while, so the first step has to wait.
  std::promise<void> inside;
  std::thread other([&] {
    const h5::Hold hold;
    inside.set_value();
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
  });
  inside.get_future().wait();
  Loader loader(store, settings_of({0, 1, 2, 3}));
  EXPECT_EQ(loader.seconds_waited(), 0);
  loader.next();
  other.join();
  EXPECT_GT(loader.seconds_waited(), 0.02);
  const auto so_far = loader.seconds_waited();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it reads ahead meanwhile
  loader.next();
  EXPECT_EQ(loader.seconds_waited(), so_far);
}

// Who goes first is let in before those that have waited longer.
TEST(Hdf5Library, ReadersThatGoFirstPassOthers) {
  std::mutex mutex;
  std::vector<int> order;
  std::vector<std::thread> threads;
  const auto enter = [&](int number) {
    const h5::Hold hold;
    const std::lock_guard lock(mutex);
    order.push_back(number);
  };
  {
    const h5::Hold hold;
    for (int number = 0; number < 4; ++number) threads.emplace_back([&, number] { enter(number); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    threads.emplace_back([&] {
      const h5::GoesFirst first;
      enter(9);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_TRUE(order.empty());
    const h5::Hold again;  // the owner may enter again
  }
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(order.size(), 5U);
  EXPECT_EQ(order.front(), 9);
}

}  // namespace
}  // namespace langrun
