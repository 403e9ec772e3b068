#include "data/image_store.h"

#include <gtest/gtest.h>

#include <numeric>

#include "data/store_writer.h"
#include "import_support.h"

namespace langrun {
namespace {

using test::code_of;
using test::Octets;
using test::ScratchFolder;
constexpr int kInput = static_cast<int>(ExitCode::input);
constexpr int kUsage = static_cast<int>(ExitCode::usage);
const ImageShape kShape{3, 4, 5};

Octets image_of(std::uint64_t row) {
  Octets pixels(60);
  std::iota(pixels.begin(), pixels.end(), static_cast<std::uint8_t>(row * 5));
  return pixels;
}

StoreTarget::Contents contents_of(std::vector<std::uint64_t> rows) {
  StoreTarget::Contents contents;
  contents.shape = kShape;
  contents.rows = std::move(rows);
  const auto total = std::accumulate(contents.rows.begin(), contents.rows.end(), std::uint64_t{0});
  for (std::uint64_t i = 0; i < total; ++i) contents.labels.push_back(static_cast<std::int64_t>(i % 2));
  contents.classes = {"cat", "\xc3\xa9t\xc3\xa9"};
  contents.record.source = "somewhere";
  contents.record.crop = "random";
  contents.record.seed = 9;
  contents.record.skipped = 2;
  return contents;
}

/// A store written by as many writers as there are numbers of rows.
void write_store(const std::filesystem::path& path, const std::vector<std::uint64_t>& rows) {
  const StoreTarget target(path, static_cast<int>(rows.size()));
  target.prepare();
  std::uint64_t next = 0;
  for (std::size_t w = 0; w < rows.size(); ++w) {
    ShardWriter writer(target.shard_path(static_cast<int>(w)), rows[w]);
    for (std::uint64_t row = 0; row < rows[w]; ++row) writer.put(row, kShape, image_of(next++));
    EXPECT_EQ(writer.finish().size(), rows[w]);
  }
  target.publish(contents_of(rows));
}

void expect_store(const std::filesystem::path& path, std::uint64_t count) {
  const auto store = ImageStore::open(path);
  ASSERT_EQ(store.count(), count);
  EXPECT_EQ(store.shape(), kShape);
  EXPECT_EQ(store.classes(), contents_of({1}).classes);
  EXPECT_EQ(store.record().seed, 9);
  EXPECT_EQ(store.record().crop, "random");
  EXPECT_EQ(store.record().skipped, 2);
  const std::vector<std::uint64_t> indices{count - 1, 0, 1, 2, 1, count / 2};
  Octets pixels(indices.size() * 60);
  store.read(indices, pixels);
  std::vector<std::int64_t> labels(indices.size());
  store.read_labels(indices, labels);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    EXPECT_EQ(Octets(pixels.begin() + static_cast<std::ptrdiff_t>(i * 60),
                     pixels.begin() + static_cast<std::ptrdiff_t>(i * 60 + 60)),
              image_of(indices[i]));
    EXPECT_EQ(labels[i], static_cast<std::int64_t>(indices[i] % 2));
  }
}

TEST(ImageStore, OneFile) {
  const ScratchFolder scratch;
  write_store(scratch / "s.h5", {3000});
  expect_store(scratch / "s.h5", 3000);
  EXPECT_EQ(scratch.entries(), 1U) << "nothing partial is left";
}

TEST(ImageStore, ShardsReadAsOne) {
  const ScratchFolder scratch;
  write_store(scratch / "s.h5", {7, 0, 4, 1});
  expect_store(scratch / "s.h5", 12);
  EXPECT_EQ(ImageStore::open(scratch / "s.h5").shards(), 3U);
  EXPECT_EQ(scratch.entries(), 2U);
  // The index as HDF5 itself sees it, from another working folder.
  const auto whole = h5::File::open(scratch / "s.h5").dataset("/images").read<std::uint8_t>();
  ASSERT_EQ(whole.size(), 12U * 60);
  EXPECT_EQ(Octets(whole.begin() + 8 * 60, whole.begin() + 9 * 60), image_of(8));
}

TEST(ImageStore, IdentityIsThatOfTheImages) {
  const ScratchFolder scratch;
  write_store(scratch / "one.h5", {12});
  write_store(scratch / "shards.h5", {7, 0, 4, 1});
  write_store(scratch / "fewer.h5", {11});
  const auto identity = [&](const char* name) { return ImageStore::open(scratch / name).identity(); };
  EXPECT_EQ(identity("one.h5"), identity("shards.h5"));
  EXPECT_FALSE(may_be_same_images(identity("one.h5"), identity("fewer.h5")));
  EXPECT_TRUE(may_be_same_images(identity("one.h5"), ""));
  // Of a store that does not guard its images the first word is all there is.
  const auto words = identity("one.h5");
  EXPECT_TRUE(may_be_same_images(words, words.substr(0, words.find(' '))));
  EXPECT_FALSE(may_be_same_images(words, identity("fewer.h5").substr(0, words.find(' '))));
}

TEST(ImageStore, AMissingOrDamagedShardIsNamed) {
  const ScratchFolder scratch;
  write_store(scratch / "s.h5", {3, 3});
  const auto shard = scratch / "s.h5.d/shard-00001.h5";
  std::string message;
  std::filesystem::resize_file(shard, 3000);
  EXPECT_EQ(code_of([&] { ImageStore::open(scratch / "s.h5"); }, &message), kInput);
  EXPECT_NE(message.find("shard-00001"), std::string::npos);
  std::filesystem::remove(shard);
  EXPECT_EQ(code_of([&] { ImageStore::open(scratch / "s.h5"); }, &message), kInput);
  EXPECT_NE(message.find("missing"), std::string::npos);
}

TEST(ImageStore, RowsInAnyOrderAndGapsClose) {
  const ScratchFolder scratch;
  const StoreTarget target(scratch / "s.h5", 1);
  target.prepare();
  ShardWriter writer(target.shard_path(0), 6);
  for (const std::uint64_t row : {5, 0, 3, 2}) writer.put(row, kShape, image_of(row));
  EXPECT_EQ(writer.finish(), (std::vector<std::uint64_t>{0, 2, 3, 5}));
  target.publish(contents_of({4}));
  const auto store = ImageStore::open(scratch / "s.h5");
  ASSERT_EQ(store.count(), 4U);
  const std::vector<std::uint64_t> all{0, 1, 2, 3};
  Octets pixels(240), expected;
  store.read(all, pixels);
  for (const std::uint64_t row : {0, 2, 3, 5}) {
    const auto image = image_of(row);
    expected.insert(expected.end(), image.begin(), image.end());
  }
  EXPECT_EQ(pixels, expected);
}

TEST(ImageStore, NothingIsWrittenOver) {
  const ScratchFolder scratch;
  test::write_file(scratch / "s.h5", "mine");
  EXPECT_EQ(code_of([&] { StoreTarget(scratch / "s.h5", 1).prepare(); }), kUsage);
  std::filesystem::create_directory(scratch / "t.h5.d");
  EXPECT_EQ(code_of([&] { StoreTarget(scratch / "t.h5", 2).prepare(); }), kUsage);
  // What a killed import left is nobody's; what another one is writing is.
  test::write_file(scratch / "u.h5.partial", "left behind");
  EXPECT_EQ(code_of([&] { StoreTarget(scratch / "u.h5", 1).prepare(); }), -1);
  ShardWriter writer(scratch / "u.h5.partial", 1);
  writer.put(0, kShape, image_of(0));
  EXPECT_EQ(code_of([&] { StoreTarget(scratch / "u.h5", 1).prepare(); }), kUsage);
}

/// A store from outside: any types and extents.
struct Foreign {
  h5::Type image_type = h5::Type::u8;
  h5::Shape images{4, 2, 2, 3};
  h5::Type label_type = h5::Type::i64;
  std::vector<std::int64_t> labels{0, 1, 1, 0};
  bool with_labels = true;
};

std::string failure_of(const Foreign& foreign) {
  const ScratchFolder scratch;
  auto file = h5::File::create(scratch / "x.h5");
  const Octets zeros(h5::elements(foreign.images) * h5::bytes_of(foreign.image_type));
  file.create_dataset("/images", foreign.image_type, foreign.images).write_all(foreign.image_type, zeros.data());
  if (foreign.with_labels) {
    std::vector<std::int64_t> room(foreign.labels);
    room.resize(room.size() + 1);
    file.create_dataset("/labels", foreign.label_type, {foreign.labels.size()})
        .write_all(foreign.label_type, room.data());
  }
  file.write_attribute("/", "classes", std::vector<std::string>{"a", "b"});
  file.close();
  std::string message = "opens";
  const int code = code_of([&] { ImageStore::open(scratch / "x.h5"); }, &message);
  EXPECT_TRUE(code == -1 || code == kInput) << code;
  return message;
}

TEST(ImageStore, WrongStoresSayWhatWasFound) {
  EXPECT_EQ(failure_of({}), "opens");
  const auto says = [](const Foreign& foreign, const std::string& part) {
    const auto message = failure_of(foreign);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  says({.image_type = h5::Type::f32}, "float32");
  says({.images = {4, 2, 2}}, "[4, 2, 2]");
  says({.images = {0, 2, 2, 3}, .labels = {}}, "at least one image");
  says({.images = {4, 2, 2, 2}}, "1 or 3 channels");
  says({.images = {4, 3, 2, 2}}, "1 or 3 channels");
  says({.label_type = h5::Type::i32}, "int32");
  says({.labels = {0, 1, 1}}, "expected int64 [4]");
  says({.labels = {0, 1, 2, 0}}, "below 2");
  says({.labels = {0, -1, 1, 0}}, "-1");
  says({.with_labels = false}, "no dataset /labels");
}

TEST(ImageStore, CutFilesAreInputErrors) {
  const ScratchFolder scratch;
  write_store(scratch / "s.h5", {40});
  const auto size = std::filesystem::file_size(scratch / "s.h5");
  for (const auto length : {std::uintmax_t{0}, std::uintmax_t{3}, std::uintmax_t{1000}, size / 2, size - 1}) {
    std::filesystem::copy_file(scratch / "s.h5", scratch / "cut.h5", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(scratch / "cut.h5", length);
    EXPECT_EQ(code_of([&] { ImageStore::open(scratch / "cut.h5"); }), kInput) << length;
  }
  EXPECT_EQ(code_of([&] { ImageStore::open(scratch / "none.h5"); }), kInput);
}

}  // namespace
}  // namespace langrun
