#include "data/image_source.h"

#include <gtest/gtest.h>

#include <map>

#include "data/archive_walk.h"
#include "import_support.h"

namespace langrun {
namespace {

using test::code_of;
using test::marked_png;
using test::Octets;
using test::ScratchFolder;
using test::TarMaker;
using test::write_file;
constexpr int kInput = static_cast<int>(ExitCode::input);

std::vector<std::string> paths(const ImageSource& source) {
  std::vector<std::string> all;
  for (const auto& entry : source.entries) all.push_back(entry.path);
  return all;
}

std::map<std::string, Octets> contents(const ImageSource& source, std::uint64_t first, std::uint64_t last) {
  SourceReader reader(source, first, last);
  SourceReader::Item item;
  std::map<std::string, Octets> all;
  while (reader.next(item)) {
    EXPECT_GE(item.index, first);
    EXPECT_LT(item.index, last);
    EXPECT_TRUE(all.emplace(source.entries[item.index].path, item.bytes).second) << "handed out twice";
  }
  return all;
}

std::string failure_of(const std::filesystem::path& path, const SourceSettings& settings = {}) {
  std::string message;
  EXPECT_EQ(code_of([&] { find_images(path, settings); }, &message), kInput) << path;
  return message;
}

Octets small_tar() {
  return TarMaker()
      .add("train/b/2.png", marked_png(2))
      .add("./train/a/10.png", marked_png(10))
      .add("train/a/9.png", marked_png(9))
      .add("train/a/.hidden.png", marked_png(1))
      .add("__MACOSX/a/x.png", marked_png(1))
      .finish();
}

TEST(Source, FolderIsOrderedByClassThenPath) {
  const ScratchFolder scratch;
  write_file(scratch / "set/b/z.png", marked_png(1));
  write_file(scratch / "set/B/y.png", marked_png(2));
  write_file(scratch / "set/a/10.png", marked_png(3));
  write_file(scratch / "set/a/9.png", marked_png(4));
  write_file(scratch / "set/a/deep/1.jpg", marked_png(5));
  write_file(scratch / "set/a/Thumbs.db", "litter");
  write_file(scratch / "set/.git/config", "litter");
  const auto source = find_images(scratch / "set");
  EXPECT_EQ(source.classes, (std::vector<std::string>{"B", "a", "b"}));
  EXPECT_EQ(paths(source), (std::vector<std::string>{"B/y.png", "a/10.png", "a/9.png", "a/deep/1.jpg", "b/z.png"}));
  EXPECT_EQ(source.entries[1].label, 1U);
  EXPECT_TRUE(source.foreign.empty());
  EXPECT_EQ(contents(source, 0, 5).at("a/10.png"), marked_png(3));
}

TEST(Source, TrainAndTestAreNotClasses) {
  const ScratchFolder scratch;
  write_file(scratch / "train/dog/1.png", marked_png(1));
  write_file(scratch / "train/cat/1.png", marked_png(2));
  write_file(scratch / "test/dog/1.png", marked_png(3));
  const auto all = find_images(scratch.path());
  EXPECT_EQ(all.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(paths(all), (std::vector<std::string>{"train/cat/1.png", "test/dog/1.png", "train/dog/1.png"}));
  EXPECT_EQ(all.train, 2U);
  EXPECT_EQ(all.test, 1U);
  SourceSettings settings;
  settings.split = SourceSettings::Split::test;
  const auto test = find_images(scratch.path(), settings);
  EXPECT_EQ(paths(test), (std::vector<std::string>{"test/dog/1.png"}));
  EXPECT_EQ(test.entries[0].label, 1U) << "labels are those of the whole source";
}

TEST(Source, OneFolderAroundAllIsNoClass) {
  const ScratchFolder scratch;
  write_file(scratch / "photos/train/dog/1.png", marked_png(1));
  write_file(scratch / "photos/train/cat/1.png", marked_png(2));
  write_file(scratch / "photos/test/dog/2.png", marked_png(3));
  const auto all = find_images(scratch.path());
  EXPECT_EQ(all.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(all.test, 1U);
  // Where one image stands in it directly, it is a class as any other.
  write_file(scratch / "photos/3.png", marked_png(4));
  EXPECT_EQ(find_images(scratch.path()).classes, std::vector<std::string>{"photos"});
}

TEST(Source, FlatFoldersAreOneClassOrNamedByFile) {
  const ScratchFolder scratch;
  write_file(scratch / "n02_b.png", marked_png(1));
  write_file(scratch / "n01_a.png", marked_png(2));
  EXPECT_EQ(find_images(scratch.path()).classes, std::vector<std::string>{"all"});
  SourceSettings by_name;
  by_name.class_from = SourceSettings::ClassFrom::name;
  EXPECT_EQ(find_images(scratch.path(), by_name).classes, (std::vector<std::string>{"n01", "n02"}));
  write_file(scratch / "plain.png", marked_png(3));
  EXPECT_NE(failure_of(scratch.path(), by_name).find("plain.png"), std::string::npos);
  write_file(scratch / "dog/1.png", marked_png(3));
  EXPECT_NE(failure_of(scratch.path()).find("dog/1.png"), std::string::npos) << "folders and flat images do not mix";
}

TEST(Source, PlainTarIsReadByPlace) {
  const ScratchFolder scratch;
  write_file(scratch / "x.tar", small_tar());
  const auto source = find_images(scratch / "x.tar");
  EXPECT_EQ(paths(source), (std::vector<std::string>{"train/a/10.png", "train/a/9.png", "train/b/2.png"}));
  for (const auto& entry : source.entries) EXPECT_EQ(entry.ordinal, SourceEntry::kNotStreamed);
  const auto all = contents(source, 0, 3);
  EXPECT_EQ(all.at("train/a/10.png"), marked_png(10));
  EXPECT_EQ(all.at("train/a/9.png"), marked_png(9));
  EXPECT_EQ(contents(source, 2, 3).size(), 1U);
}

TEST(Source, CompressedTarGivesTheSame) {
  const ScratchFolder scratch;
  write_file(scratch / "x.tar", small_tar());
  const auto plain = find_images(scratch / "x.tar");
  ASSERT_EQ(std::system(("gzip -k " + (scratch / "x.tar").string()).c_str()), 0);
  const auto packed = find_images(scratch / "x.tar.gz");
  EXPECT_EQ(plain.fingerprint(), packed.fingerprint());
  EXPECT_EQ(contents(plain, 0, 3), contents(packed, 0, 3));
  EXPECT_EQ(contents(plain, 1, 2), contents(packed, 1, 2));
  // Any of them, in one pass.
  const std::vector<std::uint64_t> some{2, 0};
  for (const auto* source : {&plain, &packed}) {
    SourceReader reader(*source, some);
    SourceReader::Item item;
    std::map<std::uint64_t, Octets> found;
    while (reader.next(item)) found[item.index] = item.bytes;
    EXPECT_EQ(found, (std::map<std::uint64_t, Octets>{{0, marked_png(10)}, {2, marked_png(2)}}));
  }
  EXPECT_NE(packed.entries[0].ordinal, SourceEntry::kNotStreamed);
  // Cut off within the compressed data.
  std::filesystem::resize_file(scratch / "x.tar.gz", std::filesystem::file_size(scratch / "x.tar.gz") - 20);
  failure_of(scratch / "x.tar.gz");
}

TEST(Source, NestedTarsAreFolders) {
  const ScratchFolder scratch;
  const auto inner = [](std::uint8_t mark) {
    return TarMaker()
        .add("1.png", marked_png(mark))
        .add("2.png", marked_png(static_cast<std::uint8_t>(mark + 1)))
        .finish();
  };
  write_file(scratch / "all.tar", TarMaker().add("n02.tar", inner(20)).add("n01.tar", inner(10)).finish());
  const auto source = find_images(scratch / "all.tar");
  EXPECT_EQ(source.classes, (std::vector<std::string>{"n01", "n02"}));
  EXPECT_EQ(paths(source), (std::vector<std::string>{"n01/1.png", "n01/2.png", "n02/1.png", "n02/2.png"}));
  EXPECT_EQ(contents(source, 0, 4).at("n02/2.png"), marked_png(21));
  EXPECT_EQ(source.entries[3].ordinal, SourceEntry::kNotStreamed) << "plain tars within plain tars are read by place";

  ASSERT_EQ(std::system(("gzip -k " + (scratch / "all.tar").string()).c_str()), 0);
  EXPECT_EQ(find_images(scratch / "all.tar.gz").fingerprint(), source.fingerprint());
  EXPECT_EQ(contents(find_images(scratch / "all.tar.gz"), 0, 4), contents(source, 0, 4));

  write_file(scratch / "folder/n01.tar", inner(10));
  write_file(scratch / "folder/n02.tar", inner(20));
  EXPECT_EQ(find_images(scratch / "folder").fingerprint(), source.fingerprint());
  EXPECT_EQ(contents(find_images(scratch / "folder"), 0, 4), contents(source, 0, 4));
}

TEST(Source, CompressedTarsWithinAPlainOneAreStreamed) {
  const ScratchFolder scratch;
  write_file(scratch / "a.tar", small_tar());
  ASSERT_EQ(std::system(("gzip -k " + (scratch / "a.tar").string()).c_str()), 0);
  std::ifstream in(scratch / "a.tar.gz", std::ios::binary);
  const Octets packed((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  write_file(scratch / "mixed.tar",
             TarMaker().add("c/0.png", marked_png(7)).add("c.tar.gz", packed).add("d/0.png", marked_png(8)).finish());
  const auto all = contents(find_images(scratch / "mixed.tar"), 0, 5);
  EXPECT_EQ(all.size(), 5U);
  EXPECT_EQ(all.at("c/train/a/9.png"), marked_png(9));
  EXPECT_EQ(all.at("d/0.png"), marked_png(8));
}

TEST(Source, EveryCutOfATarIsAnError) {
  const ScratchFolder scratch;
  const auto whole = small_tar();
  for (std::size_t length = 0; length + 1024 <= whole.size(); length += 256) {
    write_file(scratch / "cut.tar", std::span(whole).first(length));
    EXPECT_EQ(code_of([&] { find_images(scratch / "cut.tar"); }), kInput) << length;
  }
}

TEST(Source, BadArchivesAreNamed) {
  const ScratchFolder scratch;
  const auto failure_with = [&](TarMaker& tar) {
    write_file(scratch / "bad.tar", tar.finish());
    return failure_of(scratch / "bad.tar");
  };
  TarMaker escaping, linked, nothing, twice, text;
  EXPECT_NE(failure_with(escaping.add("../../etc/x.png", marked_png(1))).find("leads out"), std::string::npos);
  EXPECT_NE(failure_with(linked.add("a/x.png", {}, '2', "/etc/passwd")).find("link"), std::string::npos);
  EXPECT_NE(failure_with(nothing.add("a/", {}, '5')).find("no images"), std::string::npos);
  EXPECT_NE(failure_with(twice.add("a/1.png", marked_png(1)).add("a/1.png", marked_png(2))).find("twice"),
            std::string::npos);
  const Octets words{'w', 'o', 'r', 'd', 's'};
  EXPECT_NE(failure_with(text.add("a/words", words)).find("a/words: text"), std::string::npos);
  write_file(scratch / "words.txt", "words");
  EXPECT_NE(failure_of(scratch / "words.txt").find("is text, expected a folder"), std::string::npos);
  write_file(scratch / "empty.tar", "");
  EXPECT_NE(failure_of(scratch / "empty.tar").find("empty"), std::string::npos);
  EXPECT_NE(failure_of(scratch / "none.tar").find("no file"), std::string::npos);
  std::filesystem::create_directory(scratch / "void");
  EXPECT_NE(failure_of(scratch / "void").find("no images"), std::string::npos);
}

// What a nested archive is called becomes part of its images' paths.
TEST(Source, NamesOfNestedArchivesDoNotLeadOut) {
  const ScratchFolder scratch;
  const auto failure_with = [&](const std::string& name) {
    TarMaker inner, outer;
    write_file(scratch / "outer.tar", outer.add(name, inner.add("a/1.png", marked_png(1)).finish()).finish());
    return failure_of(scratch / "outer.tar");
  };
  EXPECT_NE(failure_with("").find("has no name"), std::string::npos);
  for (const auto* name : {"...tar", "b/...tar"})
    EXPECT_NE(failure_with(name).find("no images"), std::string::npos) << name;  // hidden, so passed over
  EXPECT_NE(failure_with("../b.tar").find("leads out"), std::string::npos);
}

TEST(Source, ForeignFilesAreListed) {
  const ScratchFolder scratch;
  write_file(scratch / "a/1.png", marked_png(1));
  write_file(scratch / "README", "words");
  const auto source = find_images(scratch.path());
  EXPECT_EQ(source.foreign, std::vector<std::string>{"README: text"});
  EXPECT_EQ(source.entries.size(), 1U);
}

TEST(Source, LongAndForeignNamesOfRealTars) {
  const ScratchFolder scratch;
  const std::string name = "\xc3\xa9t\xc3\xa9/" + std::string(120, 'x') + "/" + std::string(60, 'y') + ".png";
  write_file(scratch / ("set/" + name), marked_png(4));
  for (const std::string format : {"gnu", "pax"}) {
    const auto tar = (scratch / (format + ".tar")).string();
    ASSERT_EQ(
        std::system(("tar --format=" + format + " -C " + (scratch / "set").string() + " -cf " + tar + " .").c_str()),
        0);
    const auto source = find_images(tar);
    ASSERT_EQ(source.entries.size(), 1U) << format;
    EXPECT_EQ(source.entries[0].path, name) << format;
    EXPECT_EQ(contents(source, 0, 1).at(name), marked_png(4)) << format;
  }
}

/// Records of CIFAR-10 (label first) or CIFAR-100 (coarse and fine label), pixel planes filled from the label on.
Octets cifar_file(const std::vector<std::uint8_t>& labels, bool hundred) {
  Octets bytes;
  for (const auto label : labels) {
    if (hundred) bytes.push_back(static_cast<std::uint8_t>(label / 5));
    bytes.push_back(label);
    for (int i = 0; i < 3072; ++i) bytes.push_back(static_cast<std::uint8_t>(label + i / 1024 * 50 + i % 7));
  }
  return bytes;
}

TEST(Source, CifarTenInAFolder) {
  const ScratchFolder scratch;
  write_file(scratch / "data_batch_1.bin", cifar_file({3, 0, 3}, false));
  write_file(scratch / "data_batch_2.bin", cifar_file({0}, false));
  write_file(scratch / "test_batch.bin", cifar_file({9}, false));
  write_file(scratch / "batches.meta.txt", "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
  write_file(scratch / "readme.html", "<html></html>");
  const auto source = find_images(scratch.path());
  EXPECT_EQ(source.classes.size(), 10U);
  EXPECT_EQ(source.classes[3], "cat");
  EXPECT_EQ(paths(source),
            (std::vector<std::string>{"data_batch_1.bin/000001", "data_batch_2.bin/000000", "data_batch_1.bin/000000",
                                      "data_batch_1.bin/000002", "test_batch.bin/000000"}));
  EXPECT_EQ(source.train, 4U);
  EXPECT_EQ(source.test, 1U);
  EXPECT_TRUE(source.foreign.empty());
  SourceReader reader(source, 2, 3);
  SourceReader::Item item;
  ASSERT_TRUE(reader.next(item));
  const auto image = decode_entry(source.entries[2], item.bytes, {});
  ASSERT_EQ(image.bytes(), 3072U);
  EXPECT_EQ(image.pixels[0], 3);                   // red of the first pixel
  EXPECT_EQ(image.pixels[1], 3 + 50 + 1024 % 7);   // green
  EXPECT_EQ(image.pixels[2], 3 + 100 + 2048 % 7);  // blue

  ASSERT_EQ(std::system(("tar -czf " + (scratch / "c.tar.gz").string() + " -C " + scratch.path().string() +
                         " data_batch_1.bin data_batch_2.bin test_batch.bin batches.meta.txt readme.html")
                            .c_str()),
            0);
  const auto packed = find_images(scratch / "c.tar.gz");
  EXPECT_EQ(packed.fingerprint(), source.fingerprint());
  EXPECT_EQ(contents(packed, 1, 5), contents(source, 1, 5));
}

TEST(Source, CifarHundredAndSingleFiles) {
  const ScratchFolder scratch;
  write_file(scratch / "train.bin", cifar_file({99, 3, 42}, true));
  const auto source = find_images(scratch / "train.bin");
  EXPECT_EQ(source.classes.size(), 100U);
  EXPECT_EQ(source.classes[3], "03");
  EXPECT_EQ(source.entries.front().label, 3U);
  EXPECT_EQ(source.entries.back().label, 99U);
  auto cut = cifar_file({1, 2}, false);
  cut.resize(5000);
  write_file(scratch / "cut.bin", cut);
  failure_of(scratch / "cut.bin");
}

TEST(ArchiveWalk, CleansPaths) {
  EXPECT_EQ(clean_path("./a//b/./c.png"), "a/b/c.png");
  EXPECT_EQ(clean_path("/abs/x"), "abs/x");
  EXPECT_THROW(clean_path("a/../b"), std::invalid_argument);
  EXPECT_EQ(clean_path("a/..b"), "a/..b");
}

}  // namespace
}  // namespace langrun
