// HDF5 files whose values go past HDF5: what is read back, sizes, checksums.
#include "data/streamed_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <numeric>

#include "core/error.h"
#include "data/durable.h"
#include "data/piece_writer.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

class StreamedFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "langrun-streamed.XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

std::vector<float> counted(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

// Rows of odd sizes, so that pieces end inside them; many small tensors, as optimisers have them; empty ones.
TEST_F(StreamedFiles, AreReadAsHdf5WouldHaveWrittenThem) {
  const std::vector<std::size_t> sizes{300'007, 1, 3, 0, 70'000, 511, 2, 65'536, 5};
  std::vector<std::vector<float>> tensors;
  for (const auto n : sizes) tensors.push_back(counted(n));
  const auto rows = counted(1001 * 333);
  StreamedFile file(folder_ / "a.h5");
  file.create_group("/many");
  file.write_attribute("/many", "network", std::string("light"));
  for (std::size_t i = 0; i < sizes.size(); ++i) file.add("/many/" + std::to_string(i), {sizes[i]}, tensors[i].data());
  std::uint64_t next = 0;
  file.add("/rows", h5::Type::f32, {1001, 3, 111}, [&](std::uint64_t first, std::uint64_t count, std::byte* out) {
    EXPECT_EQ(first, next);
    next = first + count;
    std::memcpy(out, rows.data() + first * 333, count * 333 * sizeof(float));
  });
  const std::vector<std::int64_t> ages{5, 6};
  file.add("/ages", {2}, ages.data());
  const auto written = file.write(128 << 10);
  ASSERT_TRUE(written);
  EXPECT_EQ(next, 1001u);
  EXPECT_EQ(written->bytes, fs::file_size(folder_ / "a.h5"));
  EXPECT_EQ(written->checksum, checksum(folder_ / "a.h5"));

  const auto read = h5::File::open(folder_ / "a.h5");
  for (std::size_t i = 0; i < sizes.size(); ++i)
    EXPECT_EQ(read.dataset("/many/" + std::to_string(i)).read<float>(), tensors[i]) << i;
  EXPECT_EQ(read.dataset("/rows").read<float>(), rows);
  EXPECT_EQ(read.dataset("/rows").shape(), (h5::Shape{1001, 3, 111}));
  EXPECT_EQ(read.dataset("/ages").read<std::int64_t>(), ages);
  EXPECT_EQ(read.read_text_attribute("/many", "network"), "light");
}

// Few large images: a row is several times as large as the pieces that so small a file would be written in.
TEST_F(StreamedFiles, TakeRowsLargerThanAPiece) {
  const std::size_t row = 50'021, count = 7;
  const auto rows = counted(row * count);
  const std::vector<std::int64_t> ages(count, 3);
  StreamedFile file(folder_ / "a.h5");
  file.create_group("/bank");
  file.add("/bank/images", h5::Type::f32, {count, row}, [&](std::uint64_t first, std::uint64_t n, std::byte* out) {
    std::memcpy(out, rows.data() + first * row, n * row * sizeof(float));
  });
  file.add("/bank/updates", {count}, ages.data());
  const auto written = file.write(128 << 10);
  ASSERT_TRUE(written);
  EXPECT_EQ(written->checksum, checksum(folder_ / "a.h5"));
  const auto read = h5::File::open(folder_ / "a.h5");
  EXPECT_EQ(read.dataset("/bank/images").read<float>(), rows);
  EXPECT_EQ(read.dataset("/bank/updates").read<std::int64_t>(), ages);
}

TEST_F(StreamedFiles, WriteNothingOver) {
  write_durably(folder_ / "a.h5", "mine");
  EXPECT_THROW(StreamedFile file(folder_ / "a.h5"), Error);
  EXPECT_EQ(read_text(folder_ / "a.h5"), "mine");
}

TEST_F(StreamedFiles, EndsAtItsLastByteHoweverPiecesFall) {
  for (const std::size_t bytes : {0u, 1u, 4095u, 4096u, 4097u, 65'536u, 200'001u}) {
    const auto path = folder_ / "p";
    write_durably(path, std::string_view());
    std::string expected(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) expected[i] = static_cast<char>(i * 31 % 251);
    PieceWriter writer(path, 60'000, 100);
    ASSERT_EQ(writer.piece_bytes() % PieceWriter::kBlock, 0u);
    std::size_t filled = 0;
    for (std::size_t done = 0; done < bytes;) {
      const auto n = std::min(bytes - done, writer.piece_bytes() - filled + 100);
      std::memcpy(writer.memory().data() + filled, expected.data() + done, n);
      done += n;
      filled += n;
      if (filled >= writer.piece_bytes()) {
        filled -= writer.piece_bytes();
        writer.next(filled);
      }
    }
    writer.finish(filled);
    EXPECT_EQ(read_text(path), expected) << bytes;
  }
}

TEST_F(StreamedFiles, AFullDiskIsNamed) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
  PieceWriter writer("/dev/full", 4096, 0);
  std::memset(writer.memory().data(), 1, 4096);
  try {
    writer.finish(4096);
    FAIL() << "nothing fits there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::storage);
    EXPECT_NE(std::string(error.what()).find("/dev/full"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace langrun
