#include "data/idx.h"

#include <gtest/gtest.h>

#include "import_support.h"
#include "jobs/import_images.h"

namespace langrun {
namespace {

using test::code_of;
using test::Octets;
using test::ScratchFolder;
using test::TarMaker;
using test::write_file;
constexpr int kInput = static_cast<int>(ExitCode::input);
using Split = SourceSettings::Split;

void append(Octets& bytes, std::uint32_t number) {
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(number >> shift));
}

/// Pixel `at` of image `image` of a set.
std::uint8_t pixel(std::size_t image, std::size_t at) { return static_cast<std::uint8_t>(image * 31 + at * 7); }

Octets images_file(std::uint32_t count, std::uint32_t height = 6, std::uint32_t width = 5) {
  Octets bytes;
  for (const auto number : {0x803U, count, height, width}) append(bytes, number);
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t at = 0; at < std::size_t{height} * width; ++at) bytes.push_back(pixel(i, at));
  return bytes;
}

Octets labels_file(const Octets& labels) {
  Octets bytes;
  append(bytes, 0x801);
  append(bytes, static_cast<std::uint32_t>(labels.size()));
  bytes.insert(bytes.end(), labels.begin(), labels.end());
  return bytes;
}

/// A training part of four images and a test part of two, as MNIST's files are named.
void write_set(const std::filesystem::path& folder) {
  write_file(folder / "train-images-idx3-ubyte", images_file(4));
  write_file(folder / "train-labels-idx1-ubyte", labels_file({3, 0, 3, 1}));
  write_file(folder / "t10k-images-idx3-ubyte", images_file(2));
  write_file(folder / "t10k-labels-idx1-ubyte", labels_file({1, 4}));
}

ImportSettings settings_of(const ScratchFolder& scratch, const std::filesystem::path& source,
                           const std::string& out = "out.h5") {
  ImportSettings settings;
  settings.source = source;
  settings.out = scratch / out;
  return settings;
}

ImportResult import_alone(const ImportSettings& settings) {
  const auto world = make_solo_communicator();
  return import_images(*world, settings, {});
}

Octets everything(const std::filesystem::path& path) {
  const auto store = ImageStore::open(path);
  Octets all(store.count() * store.image_bytes());
  std::vector<std::uint64_t> each(store.count());
  for (std::size_t i = 0; i < each.size(); ++i) each[i] = i;
  store.read(each, all);
  return all;
}

/// The message of an import that is refused, leaving nothing behind.
std::string refusal(const ScratchFolder& scratch, const std::filesystem::path& source) {
  std::string message;
  EXPECT_EQ(code_of([&] { import_alone(settings_of(scratch, source, "refused.h5")); }, &message), kInput) << source;
  EXPECT_FALSE(std::filesystem::exists(scratch / "refused.h5"));
  return message;
}

TEST(Idx, AFolderBecomesAStoreOfGreyImages) {
  const ScratchFolder scratch;
  write_set(scratch / "set");
  write_file(scratch / "set/readme.txt", "about");
  const auto result = import_alone(settings_of(scratch, scratch / "set"));
  EXPECT_EQ(result.train, 4U);
  EXPECT_EQ(result.test, 2U);
  const auto store = ImageStore::open(scratch / "out.h5");
  EXPECT_EQ(store.shape(), (ImageShape{1, 6, 5}));
  EXPECT_EQ(store.classes(), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  // By label, then path: of label 1 the test part's image 0, then the training part's image 3.
  EXPECT_EQ(store.labels(), (std::vector<std::int64_t>{0, 1, 1, 3, 3, 4}));
  const auto all = everything(scratch / "out.h5");
  const std::vector<std::size_t> images{1, 0, 3, 0, 2, 1};
  for (std::size_t i = 0; i < images.size(); ++i)
    for (std::size_t at = 0; at < 30; ++at) ASSERT_EQ(all[i * 30 + at], pixel(images[i], at)) << i << " " << at;
}

TEST(Idx, OnePartByNameOrSplit) {
  const ScratchFolder scratch;
  write_set(scratch / "set");
  import_alone(settings_of(scratch, scratch / "set/train-images-idx3-ubyte", "by_name.h5"));
  auto split = settings_of(scratch, scratch / "set", "by_split.h5");
  split.find.split = Split::train;
  import_alone(split);
  EXPECT_EQ(everything(scratch / "by_name.h5"), everything(scratch / "by_split.h5"));
  EXPECT_EQ(ImageStore::open(scratch / "by_name.h5").classes().size(), 4U);
  EXPECT_EQ(ImageStore::open(scratch / "by_split.h5").classes().size(), 5U) << "classes are those of the whole source";
  EXPECT_NE(refusal(scratch, scratch / "set/train-labels-idx1-ubyte").find("holds labels"), std::string::npos);
}

TEST(Idx, PackedFilesAndTarsGiveTheSame) {
  const ScratchFolder scratch;
  write_set(scratch / "set");
  import_alone(settings_of(scratch, scratch / "set", "plain.h5"));
  const auto expected = everything(scratch / "plain.h5");
  write_set(scratch / "packed");
  ASSERT_EQ(std::system(("gzip " + (scratch / "packed").string() + "/*").c_str()), 0);
  import_alone(settings_of(scratch, scratch / "packed", "packed.h5"));
  EXPECT_EQ(everything(scratch / "packed.h5"), expected);
  import_alone(settings_of(scratch, scratch / "packed/t10k-images-idx3-ubyte.gz", "one.h5"));
  EXPECT_EQ(ImageStore::open(scratch / "one.h5").labels(), (std::vector<std::int64_t>{1, 4}));
  // Both beside each other, as some programs leave them.
  write_set(scratch / "packed");
  import_alone(settings_of(scratch, scratch / "packed", "both.h5"));
  EXPECT_EQ(everything(scratch / "both.h5"), expected);
  // Tars, read by place and streamed.
  const auto tar = (scratch / "set.tar").string();
  ASSERT_EQ(std::system(("tar cf " + tar + " -C " + scratch.path().string() + " set").c_str()), 0);
  import_alone(settings_of(scratch, tar, "tar.h5"));
  EXPECT_EQ(everything(scratch / "tar.h5"), expected);
  ASSERT_EQ(std::system(("gzip " + tar).c_str()), 0);
  import_alone(settings_of(scratch, tar + ".gz", "streamed.h5"));
  EXPECT_EQ(everything(scratch / "streamed.h5"), expected);
}

TEST(Idx, OtherNamesAndResizing) {
  const ScratchFolder scratch;
  write_file(scratch / "a/emnist-train-images.idx3-ubyte", images_file(12, 8, 8));
  Octets labels(12, 0);
  labels[5] = 61;
  write_file(scratch / "a/emnist-train-labels.idx1-ubyte", labels_file(labels));
  auto settings = settings_of(scratch, scratch / "a");
  settings.fit.size = 4;
  const auto result = import_alone(settings);
  EXPECT_EQ(result.train, 12U);
  const auto store = ImageStore::open(scratch / "out.h5");
  EXPECT_EQ(store.shape(), (ImageShape{1, 4, 4}));
  EXPECT_EQ(store.classes().size(), 62U);
  EXPECT_EQ(store.classes()[7], "07") << "in byte order";
  settings.out = scratch / "rgb.h5";
  settings.fit.rgb = true;
  import_alone(settings);
  EXPECT_EQ(ImageStore::open(scratch / "rgb.h5").shape(), (ImageShape{3, 4, 4}));
  const auto grey = everything(scratch / "out.h5"), rgb = everything(scratch / "rgb.h5");
  for (std::size_t i = 0; i < rgb.size(); ++i) ASSERT_EQ(rgb[i], grey[i / 3]);
}

TEST(Idx, DamagedFilesAreNamed) {
  const ScratchFolder scratch;
  const auto expect = [&](const Octets& images, const std::string& what, const std::string& suffix = "") {
    std::filesystem::remove_all(scratch / "set");
    write_set(scratch / "set");
    std::filesystem::remove(scratch / "set/train-images-idx3-ubyte");
    write_file(scratch / ("set/train-images-idx3-ubyte" + suffix), images);
    const auto message = refusal(scratch, scratch / "set");
    EXPECT_NE(message.find("train-images-idx3-ubyte" + suffix), std::string::npos) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_NE(refusal(scratch, scratch / ("set/train-images-idx3-ubyte" + suffix)).find(what), std::string::npos);
  };
  const auto whole = images_file(4);
  expect(Octets(whole.begin(), whole.end() - 1), "has only 135 bytes, its header states 136");
  auto long_one = whole;
  long_one.push_back(0);
  expect(long_one, "137 bytes, its header states 136");
  expect(Octets(whole.begin(), whole.begin() + 9), "9 bytes, an IDX header has 16");
  expect({}, "0 bytes");
  auto wrong = whole;
  wrong[3] = 1;
  expect(wrong, "begins with 0x00000801");
  wrong[2] = 0x0D;
  wrong[3] = 3;
  expect(wrong, "begins with 0x00000d03");
  // Extents whose product does not fit in 64 bits, and one that would take 80 GB.
  auto vast = whole;
  for (std::size_t i = 4; i < 16; ++i) vast[i] = 0xFF;
  expect(vast, "its header states 4294967295 of 4294967295 x 4294967295");
  auto large = images_file(1);
  large[4] = 0x04;
  expect(large, "its header states");
  auto none = whole;
  none[7] = 0;
  expect(none, "its header states 0 of 6 x 5");
  expect(whole, "is not packed by gzip", ".gz");
}

TEST(Idx, DamagedPackedFilesAreNamed) {
  const ScratchFolder scratch;
  write_set(scratch / "set");
  ASSERT_EQ(std::system(("gzip " + (scratch / "set").string() + "/train-*").c_str()), 0);
  const auto path = scratch / "set/train-images-idx3-ubyte.gz";
  std::ifstream in(path, std::ios::binary);
  const Octets good((std::istreambuf_iterator<char>(in)), {});
  const auto expect = [&](const Octets& bytes, const std::string& what) {
    write_file(path, bytes);
    const auto message = refusal(scratch, scratch / "set");
    EXPECT_NE(message.find("train-images-idx3-ubyte.gz"), std::string::npos) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  };
  expect(Octets(good.begin(), good.end() - 40), "");
  auto bit = good;
  bit[bit.size() - 8] ^= 1;
  expect(bit, "idx3-ubyte.gz: is damaged: incorrect data check");
  // A header that states far more than such a file can hold takes no memory.
  auto large = images_file(4);
  large[5] = 0x40;
  std::filesystem::remove(path);
  write_file(scratch / "set/train-images-idx3-ubyte", large);
  ASSERT_EQ(std::system(("gzip " + (scratch / "set/train-images-idx3-ubyte").string()).c_str()), 0);
  std::string message = refusal(scratch, scratch / "set");
  EXPECT_NE(message.find("more than it can hold"), std::string::npos) << message;
}

TEST(Idx, LabelsAndImagesBelongTogether) {
  const ScratchFolder scratch;
  write_set(scratch / "set");
  std::filesystem::remove(scratch / "set/t10k-labels-idx1-ubyte");
  EXPECT_NE(refusal(scratch, scratch / "set").find("no labels for 't10k-images-idx3-ubyte'"), std::string::npos);
  EXPECT_NE(refusal(scratch, scratch / "set/t10k-images-idx3-ubyte").find("no labels"), std::string::npos);
  write_file(scratch / "set/t10k-labels-idx1-ubyte", labels_file({1, 2, 3}));
  const auto message = refusal(scratch, scratch / "set");
  EXPECT_NE(message.find("holds 2 images, 't10k-labels-idx1-ubyte' 3 labels"), std::string::npos) << message;
  std::filesystem::remove(scratch / "set/t10k-images-idx3-ubyte");
  EXPECT_NE(refusal(scratch, scratch / "set").find("no images for the labels"), std::string::npos);
  write_file(scratch / "set/t10k-labels-idx1-ubyte", labels_file({1, 2}));
  auto cut = labels_file({1, 2});
  cut.pop_back();
  write_file(scratch / "set/t10k-labels-idx1-ubyte", cut);
  EXPECT_NE(refusal(scratch, scratch / "set").find("has only 9 bytes"), std::string::npos);
  // Nor with pictures of another kind.
  write_set(scratch / "set");
  write_file(scratch / "set/dog/1.png", test::marked_png(1));
  EXPECT_NE(refusal(scratch, scratch / "set").find("dog/1.png"), std::string::npos);
}

TEST(Idx, NamesAndFirstBytesTellThem) {
  const Octets images{0, 0, 8, 3, 0, 0, 0, 1}, labels{0, 0, 8, 1, 0, 0, 0, 1}, neither{0, 0, 8, 2, 0, 0, 0, 1};
  EXPECT_EQ(idx_kind("x", images), IdxKind::images);
  EXPECT_EQ(idx_kind("x", labels), IdxKind::labels);
  EXPECT_EQ(idx_kind("x", neither), IdxKind::none);
  EXPECT_EQ(idx_kind("data_batch_1.bin", images), IdxKind::none) << "CIFAR's may begin so";
  EXPECT_EQ(idx_kind("a/train-images-idx3-ubyte.gz", {}), IdxKind::images);
  EXPECT_EQ(idx_labels_of("images/train-images-idx3-ubyte.gz"), "images/train-labels-idx1-ubyte");
  EXPECT_EQ(idx_labels_of("images/digits"), std::nullopt);
}

}  // namespace
}  // namespace langrun
