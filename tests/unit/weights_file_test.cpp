#include "data/weights_file.h"

#include "weights_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::Scratch;

std::vector<WeightsPart> example(const std::vector<float>& lent) {
  std::vector<WeightsPart> parts(2);
  parts[0].part = "energy";
  parts[0].facts = {{"network", "light"}, {"width", "32"}};
  parts[0].arrays.emplace_back("f.0.weight", ArrayShape{2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  parts[0].arrays.emplace_back("f.0.bias", ArrayShape{4}, std::span<const float>(lent));
  parts[1].part = "energy_average";
  parts[1].facts = {{"network", "light"}};
  parts[1].arrays.emplace_back("scale", ArrayShape{}, std::vector<float>{0.5f});
  return parts;
}

TEST(WeightsFile, RoundTrip) {
  const Scratch scratch;
  const std::vector<float> lent{-1, -2, -3, -4};
  write_weights_file(scratch / "w.h5", example(lent));
  EXPECT_FALSE(std::filesystem::exists(scratch / "w.h5.partial"));
  const WeightsFile file(scratch / "w.h5");
  EXPECT_EQ(file.parts(), (std::vector<std::string>{"energy", "energy_average"}));
  EXPECT_EQ(file.facts("energy"), (WeightFacts{{"network", "light"}, {"width", "32"}}));
  const auto arrays = file.read("energy");
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_EQ(arrays[0].name, "f.0.bias");
  EXPECT_EQ(arrays[0].values, lent);
  EXPECT_EQ(arrays[1].shape, (ArrayShape{2, 3}));
  EXPECT_EQ(file.read("energy_average")[0].values, (std::vector<float>{0.5f}));
  std::vector<float> into(6);
  file.read_into("energy", "f.0.weight", into);
  EXPECT_EQ(into, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  error_of(ExitCode::input, [&] { file.read_into("energy", "f.0.bias", into); });
  const auto absent = error_of(ExitCode::input, [&] { file.read("generator"); });
  EXPECT_NE(absent.find("it has energy, energy_average"), std::string::npos) << absent;
}

TEST(WeightsFile, SameWeightsSameBytes) {
  const Scratch scratch;
  const std::vector<float> lent{-1, -2, -3, -4};
  write_weights_file(scratch / "a.h5", example(lent));
  write_weights_file(scratch / "b.h5", example(lent));
  EXPECT_EQ(testing::read_file(scratch / "a.h5"), testing::read_file(scratch / "b.h5"));
}

TEST(WeightsFile, NothingIsWrittenOver) {
  const Scratch scratch;
  const std::vector<float> lent{-1, -2, -3, -4};
  testing::write_file(scratch / "w.h5", "mine");
  error_of(ExitCode::usage, [&] { write_weights_file(scratch / "w.h5", example(lent)); });
  EXPECT_EQ(testing::read_file(scratch / "w.h5"), "mine");
  error_of(ExitCode::storage, [&] { write_weights_file(scratch / "no" / "w.h5", example(lent)); });
}

TEST(WeightsFile, RefusesWhatDoesNotFit) {
  const Scratch scratch;
  std::vector<WeightsPart> parts(1);
  parts[0].part = "energy";
  parts[0].arrays.emplace_back("a/b", ArrayShape{1}, std::vector<float>{1});
  error_of(ExitCode::input, [&] { write_weights_file(scratch / "w.h5", parts); });
  EXPECT_FALSE(std::filesystem::exists(scratch / "w.h5"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "w.h5.partial"));
  error_of(ExitCode::input, [&] { WeightsFile(scratch / "w.h5"); });
  testing::write_file(scratch / "x.h5", "no HDF5");
  error_of(ExitCode::input, [&] { WeightsFile(scratch / "x.h5"); });
}

TEST(WeightsFile, ReadByH5py) {
  const Scratch scratch;
  if (const auto why = testing::without_python(scratch, "h5py"); !why.empty()) GTEST_SKIP() << why;
  const std::vector<float> lent{-1, -2, -3, -4};
  write_weights_file(scratch / "w.h5", example(lent));
  EXPECT_TRUE(testing::python(scratch, R"(
import h5py, numpy
f = h5py.File('w.h5')
assert sorted(f) == ['energy', 'energy_average'], list(f)
assert f['energy'].attrs['network'] == 'light' and f['energy'].attrs['width'] == '32'
w = f['/energy/f.0.weight']
assert w.dtype == numpy.float32 and w[:].tolist() == [[1, 2, 3], [4, 5, 6]]
assert f['/energy/f.0.bias'][:].tolist() == [-1, -2, -3, -4]
assert f['/energy_average/scale'][()] == 0.5
)")) << testing::read_file(scratch / "python.log");
}

TEST(NamedArray, ChecksumSeesNamesShapesAndValues) {
  const auto sum = [](const std::string& name, ArrayShape shape, std::vector<float> values) {
    std::vector<NamedArray> arrays;
    arrays.emplace_back(name, std::move(shape), std::move(values));
    return weights_checksum(arrays);
  };
  const auto first = sum("a", {2}, {1, 2});
  EXPECT_EQ(first.size(), 32u);
  EXPECT_EQ(first, sum("a", {2}, {1, 2}));
  EXPECT_NE(first, sum("b", {2}, {1, 2}));
  EXPECT_NE(first, sum("a", {2, 1}, {1, 2}));
  EXPECT_NE(first, sum("a", {2}, {2, 1}));
}

}  // namespace
}  // namespace langrun
