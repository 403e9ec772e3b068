// Files that were made to do harm, or that fell to harm: nothing leads out of a source, nothing makes the program take
// memory or recurse without end, and what was changed is not taken for what was written.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "data/archive_walk.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/image_source.h"
#include "data/image_store.h"
#include "data/json_depth.h"
#include "data/pickle_machine.h"
#include "data/pickle_tree.h"
#include "data/seal.h"
#include "data/store_writer.h"
#include "data/weights_file.h"
#include "import_support.h"
#include "jobs/evaluation_file.h"
#include "launch/options.h"
#include "launch/provenance.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;
using test::code_of;
using test::marked_png;
using test::Octets;
using test::ScratchFolder;
using test::TarMaker;
using test::write_file;
constexpr int kUsage = static_cast<int>(ExitCode::usage), kInput = static_cast<int>(ExitCode::input),
              kStorage = static_cast<int>(ExitCode::storage), kTaken = -1;

// ---- tars ----------------------------------------------------------------------------------------------------------

/// The code that finding and reading all of `tar` ends with; the bytes of its first entry go to `first`.
int import_of(const ScratchFolder& scratch, const Octets& tar, Octets* first = nullptr) {
  write_file(scratch / "in/set.tar", tar);
  return code_of([&] {
    const auto source = find_images(scratch / "in/set.tar");
    SourceReader reader(source, 0, source.entries.size());
    SourceReader::Item item;
    while (reader.next(item))
      if (first != nullptr && item.index == 0) *first = item.bytes;
  });
}

/// Puts the checksum of a tar's first header right.
void write_checksum(Octets& tar) {
  std::fill_n(tar.begin() + 148, 8, ' ');
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += tar[i];
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%06o", sum);
  std::copy_n(text.begin(), 7, tar.begin() + 148);
}

TEST(HostileTars, NothingIsReadOrWrittenOutside) {
  const ScratchFolder scratch;
  write_file(scratch / "secret.png", marked_png(7));
  const auto secret = (scratch / "secret.png").string();
  const auto refused = [&](const TarMaker& tar) {
    EXPECT_EQ(import_of(scratch, tar.finish()), kInput);
    EXPECT_EQ(scratch.entries(), 2U) << "something was written";
  };
  refused(TarMaker().add("../out.png", marked_png(1)));
  refused(TarMaker().add("a/../../out.png", marked_png(1)));
  refused(TarMaker().add("a/..", marked_png(1)));
  refused(TarMaker().add("a/1.png", {}, '2', secret));
  refused(TarMaker().add("a/1.png", {}, '1', secret));
  refused(TarMaker().add("a", {}, '2', "..").add("a/out.png", marked_png(1)));
  refused(TarMaker().add("a/1.png", {}, '3'));
  refused(TarMaker().add("in.tar", TarMaker().add("../../out.png", marked_png(1)).finish()));
  refused(TarMaker().add("in.tar", TarMaker().add("a/1.png", {}, '2', secret).finish()));
}

// An absolute name is one within the source: its bytes are the archive's, not those of the file of that name.
TEST(HostileTars, AbsoluteNamesAreNamesWithin) {
  const ScratchFolder scratch;
  write_file(scratch / "secret.png", marked_png(7));
  const auto tar = TarMaker().add((scratch / "secret.png").string(), marked_png(1)).finish();
  Octets first;
  EXPECT_EQ(import_of(scratch, tar, &first), kTaken);
  EXPECT_EQ(first, marked_png(1));
  EXPECT_FALSE(find_images(scratch / "in/set.tar").entries[0].path.starts_with("/"));
}

TEST(HostileTars, SizesThatTheFileDoesNotHave) {
  const ScratchFolder scratch;
  auto tar = TarMaker().add("a/1.png", marked_png(1)).finish();
  // The largest that eleven octal digits say.
  const std::string most = "77777777777";
  std::copy(most.begin(), most.end(), tar.begin() + 124);
  write_checksum(tar);
  EXPECT_EQ(import_of(scratch, tar), kInput);
}

/// Most address space that this process has had, bytes.
std::uint64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmPeak:")) return std::stoull(line.substr(7)) * 1024;
  return 0;
}

// Within compression nobody knows where a member ends before it has been read.
TEST(HostileTars, ACompressedHeaderTakesNoMemory) {
  const ScratchFolder scratch;
  auto tar = TarMaker().add("a/1.bin", Octets(600, 1)).finish();
  const std::string size = "17777777777";  // 2 GiB - 1
  std::copy(size.begin(), size.end(), tar.begin() + 124);
  write_checksum(tar);
  write_file(scratch / "set.tar", tar);
  ASSERT_EQ(std::system(("gzip " + (scratch / "set.tar").string()).c_str()), 0);
  const auto before = peak_memory();
  EXPECT_EQ(code_of([&] { find_images(scratch / "set.tar.gz"); }), kInput);
  EXPECT_LT(peak_memory() - before, std::uint64_t{1} << 29);
}

// ---- pickles -------------------------------------------------------------------------------------------------------

// A stride of an extent of 1 leads nowhere; added up all the same, it would leave the numbers that there are.
TEST(HostilePickles, StridesThatAreNotWalkedMayBeAnything) {
  using namespace std::string_literals;
  const auto text = [](const std::string& word) { return "X"s + static_cast<char>(word.size()) + "\0\0\0"s + word; };
  const auto storage = "("s + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x04tQ";
  const auto tensor = "ctorch._utils\n_rebuild_tensor_v2\n("s + storage + "K\x03K\x01\x85" +
                      "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85\x89N"s + "tR";
  const auto program = "\x80\x02}"s + text("a") + tensor + "s.";
  pickle::Machine machine(std::as_bytes(std::span(program)), "here");
  const auto found = pickle::find_state_dict(machine, machine.run(), "", "here");
  ASSERT_EQ(found.tensors.size(), 1U);
  const auto& made = machine.tensors()[found.tensors[0].second];
  EXPECT_EQ(made.stride, std::vector<std::int64_t>{0});
  const std::array<float, 4> numbers{1, 2, 3, 4};
  EXPECT_EQ(pickle::decode("a", made, machine.storages()[0], std::as_bytes(std::span(numbers))).reals,
            std::vector<float>{4});
}

// ---- JSON and options ----------------------------------------------------------------------------------------------

TEST(HostileJson, DepthIsCountedOutsideStrings) {
  EXPECT_FALSE(nested_too_deep(R"({"a": [[1, {"b": "[[[[\"{{{{"}]]})"));
  const std::string most(kDeepestJson, '['), end(kDeepestJson, ']');
  EXPECT_FALSE(nested_too_deep(most + end));
  EXPECT_FALSE(nested_too_deep(most + end + "," + most + end));
  EXPECT_TRUE(nested_too_deep("[" + most));
  EXPECT_FALSE(nested_too_deep("\"" + std::string(1000, '[')));
}

TEST(HostileJson, BracketsWithoutEndAreAnError) {
  const ScratchFolder scratch;
  const std::string open(200'000, '['), close(200'000, ']');
  write_file(scratch / "c/manifest.json", R"({"format": 1, "xxh3_128": "", "a": )" + open + close + "}");
  EXPECT_EQ(code_of([&] { read_manifest(scratch / "c"); }), kInput);
  write_file(scratch / "r/provenance.json", R"({"generations": [{"generation": 1, "a": )" + open + close + "}]}");
  EXPECT_EQ(code_of([&] { launch::newest_generation(scratch / "r"); }), kStorage);
}

TEST(HostileJson, NumbersThatAreNotWhole) {
  const ScratchFolder scratch;
  for (const char* number : {"1e300", "\"1\"", "null", "1.0"}) {
    write_file(scratch / "manifest.json", fmt::format(R"({{"format": {}}})", number));
    EXPECT_EQ(code_of([&] { read_manifest(scratch.path()); }), kInput) << number;
  }
}

TEST(HostileOptions, AConfigurationFileWithoutEndIsRefused) {
  std::int64_t steps = 0;
  launch::OptionTable table("command");
  table.integer("steps", steps, "steps", "");
  EXPECT_EQ(code_of([&] { table.parse({"--config", "/dev/zero"}); }), kUsage);
}

// ---- HDF5 ----------------------------------------------------------------------------------------------------------

TEST(HostileHdf5, AttributesOfSeveralValuesAreNoNumber) {
  const ScratchFolder scratch;
  const auto path = scratch / "a.h5";
  const auto raw = H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t many = 4096;
  const auto space = H5Screate_simple(1, &many, nullptr);
  for (const char* name : {"whole", "real"})
    H5Aclose(
        H5Acreate2(raw, name, name[0] == 'w' ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT));
  H5Sclose(space);
  H5Fclose(raw);
  const auto file = h5::File::open(path);
  EXPECT_EQ(code_of([&] { file.read_int_attribute("/", "whole"); }), kInput);
  EXPECT_EQ(code_of([&] { file.read_real_attribute("/", "real"); }), kInput);
}

TEST(HostileHdf5, ExtentsThatTheFileCannotHoldAreRefused) {
  const ScratchFolder scratch;
  const auto opened = [&](const h5::Shape& shape) {
    const auto path = scratch / "a.h5";
    fs::remove(path);
    auto file = h5::File::create(path);
    // Nothing is written, so that the file stays small.
    file.create_dataset("/values", h5::Type::f64, shape);
    file.close();
    return code_of([&] { h5::File::open(path).dataset("/values"); });
  };
  EXPECT_EQ(opened({1000, 1000}), kTaken) << "what was never written reads as zeros";
  EXPECT_EQ(opened({std::uint64_t{1} << 30}), kInput);
  EXPECT_EQ(opened({0, std::uint64_t{1} << 40}), kInput) << "rows of this size would be taken memory for";
}

TEST(HostileHdf5, ValuesInOtherFilesAreRefused) {
  const ScratchFolder scratch;
  const auto path = scratch / "a.h5";
  write_file(scratch / "secret", std::string(64, 's'));
  const auto raw = H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t bytes = 64;
  const auto space = H5Screate_simple(1, &bytes, nullptr), creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(creation, (scratch / "secret").c_str(), 0, bytes);
  H5Dclose(H5Dcreate2(raw, "values", H5T_NATIVE_UINT8, space, H5P_DEFAULT, creation, H5P_DEFAULT));
  H5Pclose(creation);
  H5Sclose(space);
  H5Fclose(raw);
  EXPECT_EQ(code_of([&] { h5::File::open(path).dataset("/values"); }), kInput);
}

// A virtual dataset over a file that is missing reads as zeros: black images, for one.
TEST(HostileHdf5, ValuesOfVirtualDatasetsAreNotRead) {
  const ScratchFolder scratch;
  const auto path = scratch / "a.h5";
  const auto raw = H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t rows = hsize_t{1} << 40;
  const auto space = H5Screate_simple(1, &rows, nullptr), creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_virtual(creation, space, "gone.h5", "values", space);
  H5Dclose(H5Dcreate2(raw, "values", H5T_NATIVE_UINT8, space, H5P_DEFAULT, creation, H5P_DEFAULT));
  H5Pclose(creation);
  H5Sclose(space);
  H5Fclose(raw);
  const auto values = h5::File::open(path).dataset("/values");
  std::uint8_t first = 0;
  EXPECT_EQ(code_of([&] { values.read_rows(0, 1, &first); }), kInput);
}

TEST(HostileHdf5, RecordsOfOtherExtentsAreRefused) {
  const ScratchFolder scratch;
  ImageRecord record;
  record.judge.resize(1);
  record.judge[0].votes = {0, 1};
  record.judge[0].logits = {1, 2, 3, 4};
  write_evaluation(scratch / "good.h5", {record}, {.steps = 1, .restarts = 1, .classes = 2},
                   {"", {"a", "b"}, {3, 2, 2}, {}});
  const auto good = h5::File::open(scratch / "good.h5");
  for (const h5::Shape& votes : {h5::Shape{1, 2}, h5::Shape{1}, h5::Shape{2, 1}, h5::Shape{1, 2, 8}}) {
    const auto path = scratch / "other.h5";
    fs::remove(path);
    auto other = h5::File::create(path);
    const std::function<void(const std::string&)> copy = [&](const std::string& group) {
      for (const auto& child : good.children(group)) {
        const auto name = (group == "/" ? "" : group) + "/" + child;
        if (good.is_group(name)) {
          copy(name);
          continue;
        }
        const auto from = good.dataset(name);
        const auto shape = name == "/judge/votes" ? votes : from.shape();
        const std::vector<std::byte> zeros(h5::elements(shape) * h5::bytes_of(from.type()));
        if (!zeros.empty())
          other.create_dataset(name, from.type(), shape).write_all(from.type(), zeros.data());
        else
          other.create_dataset(name, from.type(), shape);
      }
    };
    copy("/");
    other.write_attribute("/", "classes", std::vector<std::string>{"a", "b"});
    other.write_attribute("/", "configuration", std::string());
    other.close();
    EXPECT_EQ(code_of([&] { read_evaluation(path); }), (votes == h5::Shape{1, 2} ? kTaken : kInput))
        << h5::to_text(votes);
  }
}

// ---- seals ---------------------------------------------------------------------------------------------------------

std::string bytes_of(const fs::path& path) { return read_text(path); }

std::vector<WeightsPart> some_weights() {
  std::vector<WeightsPart> parts(1);
  parts[0].part = "energy";
  parts[0].facts = {{"network", "light"}};
  parts[0].arrays.emplace_back("a", ArrayShape{3}, std::vector<float>{1, 2, 3});
  return parts;
}

TEST(Seals, NoDamageToWeightsIsTaken) {
  const ScratchFolder scratch;
  write_weights_file(scratch / "w.h5", some_weights());
  EXPECT_TRUE(check_seal(scratch / "w.h5"));
  EXPECT_EQ(WeightsFile(scratch / "w.h5").read("energy")[0].values, (std::vector<float>{1, 2, 3}));
  const auto good = bytes_of(scratch / "w.h5");
  const auto refused = [&](const std::string& bytes, const std::string& what) {
    write_file(scratch / "d.h5", bytes);
    EXPECT_EQ(code_of([&] { WeightsFile(scratch / "d.h5"); }), kInput) << what;
  };
  for (std::size_t at = 0; at < good.size(); at += at + kSealBytes < good.size() ? 7 : 1) {
    auto damaged = good;
    damaged[at] ^= static_cast<char>(1 << at % 8);
    refused(damaged, "byte " + std::to_string(at));
  }
  refused(good.substr(0, good.size() - 1), "cut by a byte");
  refused(good.substr(0, good.size() - kSealBytes), "without its seal");
  refused(good + '\0', "a byte more");
}

TEST(Seals, FilesWithoutOneAreTakenAsTheyAre) {
  const ScratchFolder scratch;
  auto file = h5::File::create(scratch / "a.h5");
  const std::vector<float> values{1, 2};
  file.write("/energy/a", {2}, values.data());
  file.close();
  EXPECT_FALSE(check_seal(scratch / "a.h5"));
  EXPECT_EQ(WeightsFile(scratch / "a.h5").read("energy")[0].values, values);
}

// ---- stores --------------------------------------------------------------------------------------------------------

const ImageShape kShape{3, 4, 4};

void write_store(const fs::path& path, int writers, std::uint8_t mark) {
  const StoreTarget target(path, writers);
  target.prepare();
  StoreTarget::Contents contents;
  contents.shape = kShape;
  for (int w = 0; w < writers; ++w) {
    ShardWriter writer(target.shard_path(w), 3);
    for (std::uint64_t row = 0; row < 3; ++row)
      writer.put(row, kShape, Octets(48, static_cast<std::uint8_t>(mark + 3 * w + static_cast<int>(row))));
    contents.rows.push_back(writer.finish().size());
    contents.labels.insert(contents.labels.end(), {0, 1, 0});
  }
  contents.classes = {"cat", "dog"};
  contents.record.source = "pictures";
  target.publish(contents);
}

int read_of(const fs::path& path) {
  return code_of([&] {
    const auto store = ImageStore::open(path);
    Octets image(store.image_bytes());
    for (std::uint64_t i = 0; i < store.count(); ++i) store.read({&i, 1}, image);
  });
}

TEST(GuardedStores, ChangedPixelsLabelsAndAttributesAreNoticed) {
  const ScratchFolder scratch;
  const auto changed = [&](const auto& change) {
    fs::remove(scratch / "s.h5");
    write_store(scratch / "s.h5", 1, 1);
    EXPECT_EQ(read_of(scratch / "s.h5"), kTaken);
    auto file = h5::File::open_to_add(scratch / "s.h5");
    change(file);
    file.close();
    return read_of(scratch / "s.h5");
  };
  EXPECT_EQ(changed([](h5::File&) {}), kTaken);
  EXPECT_EQ(changed([](h5::File& file) {
              const std::vector<std::int64_t> labels{0, 1, 1};
              file.dataset("/labels").write_rows(0, 3, labels.data());
            }),
            kInput);
  EXPECT_EQ(changed([](h5::File& file) {
              const Octets other(48, 200);
              file.dataset("/images").write_rows(1, 1, other.data());
            }),
            kInput);
  EXPECT_EQ(changed([](h5::File& file) {
              const std::vector<std::uint64_t> checksums{1, 2, 3};
              file.dataset("/checksums").write_rows(0, 3, checksums.data());
            }),
            kInput);
  EXPECT_EQ(changed([](h5::File& file) { file.write_attribute("/", "note", std::string("new")); }), kInput);
}

TEST(GuardedStores, OnlyTheDamagedImageIsRefused) {
  const ScratchFolder scratch;
  write_store(scratch / "s.h5", 1, 1);
  auto file = h5::File::open_to_add(scratch / "s.h5");
  const Octets other(48, 200);
  file.dataset("/images").write_rows(1, 1, other.data());
  file.close();
  const auto store = ImageStore::open(scratch / "s.h5");
  Octets image(48);
  const std::uint64_t first = 0, second = 1;
  store.read({&first, 1}, image);
  EXPECT_EQ(image, Octets(48, 1));
  std::string message;
  EXPECT_EQ(code_of([&] { store.read({&second, 1}, image); }, &message), kInput);
  EXPECT_NE(message.find("image 1"), std::string::npos) << message;
}

TEST(GuardedStores, AShardOfAnotherStoreIsNoticed) {
  const ScratchFolder scratch;
  write_store(scratch / "s.h5", 2, 1);
  write_store(scratch / "t.h5", 2, 100);
  EXPECT_EQ(read_of(scratch / "s.h5"), kTaken);
  fs::rename(scratch / "t.h5.d/shard-00001.h5", scratch / "s.h5.d/shard-00001.h5");
  EXPECT_EQ(read_of(scratch / "s.h5"), kInput);
}

TEST(GuardedStores, ShardsElsewhereAreRefused) {
  const ScratchFolder scratch;
  write_store(scratch / "real.h5", 1, 1);
  for (const std::string& name : std::vector<std::string>{"../real.h5", (scratch / "real.h5").string()}) {
    fs::create_directories(scratch / "in");
    fs::remove(scratch / "in/s.h5");
    auto file = h5::File::create(scratch / "in/s.h5");
    file.create_dataset("/images", h5::Type::u8, {3, 4, 4, 3});
    const std::vector<std::int64_t> labels{0, 1, 0};
    file.write("/labels", {3}, labels.data());
    file.write_attribute("/", "shards", std::vector<std::string>{name});
    file.close();
    EXPECT_EQ(read_of(scratch / "in/s.h5"), kInput) << name;
  }
}

}  // namespace
}  // namespace langrun
