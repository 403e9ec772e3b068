// Lanes and the tree over them, without MPI.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/noise.h"
#include "distributed/lanes.h"
#include "distributed/tree_reducer.h"
#include "distributed/tree_sum.h"

namespace langrun {
namespace {

ExitCode code_of(const std::function<void()>& part) {
  try {
    part();
  } catch (const Error& error) {
    return error.code();
  }
  return ExitCode::done;
}

std::vector<std::vector<float>> lane_vectors(std::int64_t lanes, std::size_t length) {
  std::vector<std::vector<float>> vectors(static_cast<std::size_t>(lanes), std::vector<float>(length));
  for (std::size_t l = 0; l < vectors.size(); ++l) fill_normal(noise_key(1, Stream::sample), {l, 0}, vectors[l]);
  return vectors;
}

float tree(const std::vector<std::vector<float>>& lanes, std::size_t first, std::size_t count, std::size_t at) {
  if (count == 1) return lanes[first][at];
  return tree(lanes, first, count / 2, at) + tree(lanes, first + count / 2, count / 2, at);
}

void add(Reducer& reducer, const std::vector<float>& lane) {
  std::copy(lane.begin(), lane.end(), reducer.lane().begin());
  reducer.add();
}

TEST(Lanes, DivideSlotsAndBatch) {
  const auto lanes = lanes_of(8, 1, 4);
  EXPECT_EQ(lanes.first, 2);
  EXPECT_EQ(lanes.owned, 2);
  std::int64_t rows = 0;
  for (std::int64_t l = 0; l < 8; ++l) rows += lanes.rows(l, 1003);
  EXPECT_EQ(rows, 1003);
  EXPECT_EQ(lanes.rows(2, 1003), 126);
  EXPECT_EQ(lanes.rows(3, 1003), 125);
  EXPECT_EQ(lanes.slot(2, 125), 1002);
  EXPECT_EQ(lane_batch(128, 8), 16);
}

TEST(Lanes, RefuseWhatDoesNotDivide) {
  EXPECT_EQ(code_of([] { lanes_of(6, 0, 1); }), ExitCode::usage);
  EXPECT_EQ(code_of([] { lanes_of(8, 0, 3); }), ExitCode::usage);
  EXPECT_EQ(code_of([] { lanes_of(8, 0, 16); }), ExitCode::usage);
  EXPECT_EQ(code_of([] { lane_batch(13, 8); }), ExitCode::usage);
  EXPECT_EQ(code_of([] { lane_batch(4, 8); }), ExitCode::usage);
}

TEST(TreeReducer, AddsAsABalancedTreeBitForBit) {
  for (const std::int64_t count : {1, 2, 8, 16}) {
    const auto vectors = lane_vectors(count, 1000);
    const auto world = make_solo_communicator();
    TreeReducer reducer(*world, lanes_of(count, 0, 1), 1000, "test");
    for (int repeat = 0; repeat < 2; ++repeat) {
      for (const auto& lane : vectors) add(reducer, lane);
      const auto sum = reducer.finalize();
      for (std::size_t i = 0; i < sum.size(); ++i) {
        const float expected = tree(vectors, 0, vectors.size(), i);
        ASSERT_EQ(std::memcmp(&sum[i], &expected, sizeof(float)), 0) << count << " lanes, element " << i;
      }
    }
  }
}

TEST(TreeReducer, PiecesFromTheBackGiveTheSameBits) {
  const auto vectors = lane_vectors(4, 1000);
  const auto world = make_solo_communicator();
  TreeReducer reducer(*world, lanes_of(4, 0, 1), 1000, "test");
  for (int l = 0; l < 3; ++l) add(reducer, vectors[static_cast<std::size_t>(l)]);
  const auto last = reducer.lane();
  std::size_t end = 1000;
  for (const std::size_t first : {700u, 700u, 1u}) {
    for (std::size_t i = first; i < end; ++i) last[i] = vectors[3][i];
    reducer.begin_from(first);
    end = first;
  }
  EXPECT_EQ(code_of([&] { reducer.begin_from(2); }), ExitCode::internal);  // from the back to the front
  last[0] = vectors[3][0];
  reducer.add();
  const auto sum = reducer.finalize();
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const float expected = tree(vectors, 0, 4, i);
    ASSERT_EQ(std::memcmp(&sum[i], &expected, sizeof(float)), 0) << i;
  }
}

TEST(TreeSum, AddsPartsPairwise) {
  for (const std::size_t count : {1u, 2u, 4u, 8u}) {
    const auto vectors = lane_vectors(static_cast<std::int64_t>(count), 5000);
    for (std::size_t own = 0; own < count; ++own) {  // the sum takes the place of any part
      auto parts = vectors;
      std::vector<float*> pointers;
      for (auto& part : parts) pointers.push_back(part.data());
      add_in_tree_order(pointers, parts[own]);
      for (std::size_t i = 0; i < 5000; ++i) {
        const float expected = tree(vectors, 0, count, i);
        ASSERT_EQ(std::memcmp(&parts[own][i], &expected, sizeof(float)), 0) << count << " parts, element " << i;
      }
    }
  }
}

TEST(TreeReducer, ForgottenLanesAreNoticed) {
  const auto world = make_solo_communicator();
  TreeReducer reducer(*world, lanes_of(4, 0, 1), 10, "test");
  const std::vector<float> lane(10);
  EXPECT_EQ(code_of([&] { reducer.add(); }), ExitCode::internal);  // nothing was written
  for (int i = 0; i < 3; ++i) {
    reducer.lane();
    EXPECT_EQ(code_of([&] { reducer.begin_from(5); }), i < 3 ? ExitCode::internal : ExitCode::done);
    add(reducer, lane);
  }
  EXPECT_EQ(code_of([&] { reducer.finalize(); }), ExitCode::internal);
  add(reducer, lane);
  EXPECT_EQ(code_of([&] { reducer.lane(); }), ExitCode::internal);
  EXPECT_EQ(code_of([&] { reducer.finalize(); }), ExitCode::done);
}

}  // namespace
}  // namespace langrun
