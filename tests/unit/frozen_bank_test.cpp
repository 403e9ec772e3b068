// A bank frozen at one moment, read by one thread while another overwrites it.
#include "core/frozen_bank.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "core/error.h"
#include "core/torch.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "jobs/bank_file.h"
#include "jobs/snapshot.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::int64_t kRows = 400, kLatent = 5;
const ImageShape kImage{3, 4, 4};

BankLane filled(std::int64_t rows, at::MemoryFormat format = at::MemoryFormat::Contiguous) {
  auto lane = BankLane::make(rows, kImage, kLatent);
  lane.images = torch::arange(rows * kImage.elements(), torch::kFloat32)
                    .view({rows, kImage.channels, kImage.height, kImage.width})
                    .contiguous(format);
  lane.latents = -torch::arange(rows * kLatent, torch::kFloat32).view({rows, kLatent});
  for (std::int64_t row = 0; row < rows; ++row) lane.updates[static_cast<std::size_t>(row)] = 7 * row;
  return lane;
}

void overwrite(BankLane& lane, FrozenBank& frozen, std::size_t which, const std::vector<std::int64_t>& rows) {
  frozen.keep(which, rows);
  const auto n = static_cast<std::int64_t>(rows.size());
  lane.put(rows, torch::full({n, kImage.channels, kImage.height, kImage.width}, 1e9), torch::full({n, kLatent}, 1e9));
  for (const auto row : rows) lane.updates[static_cast<std::size_t>(row)] = -1;
}

struct Taken {
  explicit Taken(std::int64_t rows)
      : images(torch::empty({rows, kImage.channels, kImage.height, kImage.width})),
        latents(torch::empty({rows, kLatent})) {}
  void take(FrozenBank& frozen, std::size_t which, std::int64_t first, std::int64_t count) {
    frozen.take(which, first, count, images.mutable_data_ptr<float>() + first * kImage.elements(),
                latents.mutable_data_ptr<float>() + first * kLatent);
  }
  bool equals(const BankLane& lane) const { return images.equal(lane.images) && latents.equal(lane.latents); }
  at::Tensor images, latents;
};

TEST(FrozenBank, GivesTheStateOfItsMomentWhateverIsWrittenLater) {
  for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    const auto before = filled(kRows, format);
    std::vector<BankLane> lanes{filled(kRows, format), filled(kRows, format)};
    FrozenBank frozen(lanes, 2 * kRows);
    Taken first(kRows), second(kRows);
    overwrite(lanes[0], frozen, 0, {0, 1, 17, kRows - 1});
    first.take(frozen, 0, 0, 100);
    overwrite(lanes[0], frozen, 0, {3, 99, 100, 17, 250});
    overwrite(lanes[1], frozen, 1, {5, 6});
    EXPECT_EQ(frozen.most_kept(), 4 - 3 + 2 + 2 + 3 - 3) << "those below row 100 were given back or never kept";
    first.take(frozen, 0, 100, kRows - 100);
    second.take(frozen, 1, 0, kRows);
    EXPECT_TRUE(first.equals(before));
    EXPECT_TRUE(second.equals(before));
    EXPECT_EQ(frozen.updates(0), before.updates);
    EXPECT_FALSE(lanes[0].images.equal(before.images));
  }
}

TEST(FrozenBank, KeepsNoMoreThanItMayAndWaitsForASlowReader) {
  constexpr std::int64_t kSpare = 20;
  const auto before = filled(kRows);
  std::vector<BankLane> lanes{filled(kRows)};
  FrozenBank frozen(lanes, kSpare);
  Taken taken(kRows);
  std::thread reader([&] {
    for (std::int64_t row = 0; row < kRows; row += 8) {
      std::this_thread::sleep_for(milliseconds(1));
      taken.take(frozen, 0, row, 8);
    }
  });
  // All rows in an order that is not the reader's, several times.
  for (std::int64_t i = 0; i < 3 * kRows; i += 4) {
    std::vector<std::int64_t> rows;
    for (std::int64_t k = 0; k < 4; ++k) rows.push_back((i + k) * 147 % kRows);
    overwrite(lanes[0], frozen, 0, rows);
  }
  reader.join();
  EXPECT_TRUE(taken.equals(before));
  EXPECT_EQ(frozen.most_kept(), kSpare);
}

TEST(FrozenBank, WithoutPlaceToKeepRowsTheWriterOfTheBankWaits) {
  const auto before = filled(kRows);
  std::vector<BankLane> lanes{filled(kRows)};
  FrozenBank frozen(lanes, 0);
  Taken taken(kRows);
  std::thread reader([&] {
    std::this_thread::sleep_for(milliseconds(30));
    taken.take(frozen, 0, 0, kRows);
  });
  const auto begun = std::chrono::steady_clock::now();
  const auto seconds = frozen.keep(0, std::vector<std::int64_t>{kRows - 1});
  EXPECT_GE(seconds, 0.02);
  EXPECT_LE(seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  overwrite(lanes[0], frozen, 0, {kRows - 1, 0});
  reader.join();
  EXPECT_TRUE(taken.equals(before));
}

TEST(FrozenBank, AnAbandonedOneHoldsNobodyUp) {
  std::vector<BankLane> lanes{filled(kRows)};
  FrozenBank frozen(lanes, 0);
  std::thread reader([&] {
    std::this_thread::sleep_for(milliseconds(10));
    frozen.abandon();
  });
  frozen.keep(0, std::vector<std::int64_t>{1, 2, 3});
  reader.join();
  EXPECT_EQ(frozen.most_kept(), 0);
}

class SnapshotFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "langrun-snapshot.XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(SnapshotFiles, HoldTheLanesAndTheirSizesAndChecksums) {
  const auto before = filled(kRows);
  std::vector<BankLane> lanes{filled(kRows), filled(kRows)};
  std::vector<WeightsPart> weights(1);
  weights[0].part = "energy";
  weights[0].arrays.emplace_back("a", ArrayShape{3}, std::vector<float>{1, 2, 3});
  weights[0].arrays.emplace_back("b", ArrayShape{}, std::vector<float>{4});
  StateSnapshot snapshot(std::move(weights), lanes, 2, 8);
  overwrite(lanes[1], *snapshot.bank(), 1, {});
  const auto files = snapshot.write(folder_, {});
  ASSERT_EQ(files.size(), 3u);
  for (const auto& file : files) {
    EXPECT_EQ(file.bytes, fs::file_size(folder_ / file.name)) << file.name;
    EXPECT_EQ(file.checksum, checksum(folder_ / file.name)) << file.name;
  }
  for (const std::int64_t lane : {2, 3}) {
    const auto read = read_bank_lane(folder_, lane, 8, kRows, kImage, kLatent);
    EXPECT_TRUE(read.images.equal(before.images));
    EXPECT_TRUE(read.latents.equal(before.latents));
    EXPECT_EQ(read.updates, before.updates);
    EXPECT_EQ(read.visits, before.visits);
  }
  EXPECT_EQ(WeightsFile(folder_ / "weights.h5").read("energy")[1].values, std::vector<float>{4});
}

TEST_F(SnapshotFiles, AreTheSameWhileTheBankIsOverwritten) {
  constexpr std::int64_t kMany = 40'000;
  std::vector<BankLane> still{filled(kMany)}, busy{filled(kMany)};
  fs::create_directories(folder_ / "still");
  fs::create_directories(folder_ / "busy");
  const auto expected = StateSnapshot({}, still, 0, 1).write(folder_ / "still", {});
  StateSnapshot snapshot({}, busy, 0, 1);
  std::atomic<bool> done = false;
  std::vector<CheckpointFile> files;
  std::thread writer([&] {
    files = snapshot.write(folder_ / "busy", {});
    done = true;
  });
  for (std::int64_t i = 0; !done || i < 100; ++i) {
    std::vector<std::int64_t> rows;
    for (std::int64_t k = 0; k < 16; ++k) rows.push_back((16 * i + k) * 14'983 % kMany);
    overwrite(busy[0], *snapshot.bank(), 0, rows);
  }
  writer.join();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].checksum, expected[0].checksum);
  EXPECT_EQ(files[0].checksum, checksum(folder_ / "busy" / "bank-0.h5"));
  EXPECT_FALSE(busy[0].images.equal(still[0].images));
}

TEST_F(SnapshotFiles, AFailureIsNamedAndFreesWhoeverWaits) {
  std::vector<BankLane> lanes{filled(kRows)};
  StateSnapshot snapshot({}, lanes, 0, 1);
  try {
    snapshot.write(folder_ / "missing", {});
    FAIL() << "there is no such folder";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::storage);
    EXPECT_NE(std::string(error.what()).find("bank-0.h5"), std::string::npos) << error.what();
  }
  snapshot.bank()->keep(0, std::vector<std::int64_t>{1, 2, 3});
}

TEST_F(SnapshotFiles, StopWhenTold) {
  std::vector<BankLane> lanes{filled(kRows)};
  StateSnapshot snapshot({}, lanes, 0, 1);
  EXPECT_TRUE(snapshot.write(folder_, [] { return true; }).empty());
  snapshot.bank()->keep(0, std::vector<std::int64_t>{1, 2, 3});
}

TEST(SnapshotMemory, IsATenthOfTheBankAtMost) {
  for (const std::int64_t rows : {10, 1000, 100'000}) {
    const std::vector<BankLane> lanes{filled(rows), filled(rows)};
    const auto memory = snapshot_memory(lanes);
    const auto row = static_cast<std::size_t>(4 * (kImage.elements() + kLatent));
    const auto bank = 2 * static_cast<std::size_t>(rows) * row;
    const auto taken = static_cast<std::size_t>(memory.spare_rows) * row + memory.pieces + lanes[0].latents.nbytes();
    if (memory.spare_rows > 0) {
      EXPECT_LE(taken, bank / 10) << rows;
    }
    EXPECT_EQ(memory.spare_rows > 0, rows >= 100'000) << rows;
  }
}

}  // namespace
}  // namespace langrun
