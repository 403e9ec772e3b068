// Files of records that are added to, after kills and damage.
#include "data/journal.h"

#include <gtest/gtest.h>

#include <string>

#include "weights_support.h"

namespace langrun {
namespace {

using testing::read_file;
using testing::Scratch;
using testing::write_file;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::vector<std::string> texts(const std::filesystem::path& path) {
  std::vector<std::string> texts;
  for (const auto& record : read_journal(path)) {
    texts.emplace_back();
    for (const auto byte : record) texts.back() += static_cast<char>(byte);
  }
  return texts;
}

class JournalTest : public ::testing::Test {
 protected:
  void add(const std::vector<std::string>& records) {
    Journal journal(path);
    for (const auto& record : records) journal.add(bytes_of(record));
    journal.sync();
  }
  Scratch scratch;
  std::filesystem::path path = scratch / "records.journal";
  const std::vector<std::string> three{"one", "", "the third, a little longer"};
};

TEST_F(JournalTest, GivesBackWhatWasAdded) {
  EXPECT_TRUE(read_journal(path).empty()) << "there is no file";
  add({});
  EXPECT_TRUE(read_journal(path).empty());
  add(three);
  EXPECT_EQ(texts(path), three);
}

TEST_F(JournalTest, AddsBehindWhatIsThere) {
  add(three);
  add({"fourth"});
  EXPECT_EQ(texts(path), (std::vector<std::string>{three[0], three[1], three[2], "fourth"}));
}

TEST_F(JournalTest, AnyCutLeavesTheWholeRecordsBeforeIt) {
  add(three);
  const auto whole = read_file(path);
  const auto frame = (whole.size() - three[0].size() - three[2].size()) / 3;
  const std::size_t first = frame + three[0].size(), second = first + frame;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_file(path, whole.substr(0, size));
    const std::size_t left = size < first ? 0 : size < second ? 1 : 2;
    ASSERT_EQ(texts(path), std::vector<std::string>(three.begin(), three.begin() + static_cast<std::ptrdiff_t>(left)))
        << size;
  }
}

TEST_F(JournalTest, WhatIsAddedAfterACutIsWhole) {
  add(three);
  auto whole = read_file(path);
  write_file(path, whole.substr(0, whole.size() - 1));
  add({"x"});
  EXPECT_EQ(texts(path), (std::vector<std::string>{three[0], three[1], "x"}));
  EXPECT_LT(read_file(path).size(), whole.size()) << "nothing of the cut record is left behind";
}

TEST_F(JournalTest, AFlippedBitEndsItThere) {
  add(three);
  const auto whole = read_file(path);
  const auto frame = (whole.size() - three[0].size() - three[2].size()) / 3;
  const std::size_t first = frame + three[0].size(), second = first + frame;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    write_file(path, damaged);
    const std::size_t left = at < first ? 0 : at < second ? 1 : 2;
    ASSERT_EQ(read_journal(path).size(), left) << at;
  }
  add({"again"});
  EXPECT_EQ(texts(path), (std::vector<std::string>{three[0], three[1], "again"}));
}

TEST_F(JournalTest, ACutIsNoDamage) {
  add(three);
  const auto whole = read_file(path);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_file(path, whole.substr(0, size));
    const auto content = journal_content(path);
    ASSERT_FALSE(content.damaged) << size;
    ASSERT_EQ(content.end + content.rest, size);
    if (size % 16 != 0) continue;  // each writes to the disk
    ASSERT_FALSE(Journal(path).damage()) << size;
  }
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".damaged-1"));
}

// In the length, too: a record that seems to reach beyond the end is told from one that was cut off.
TEST_F(JournalTest, AnyFlippedBitIsDamageAndIsKept) {
  add(three);
  const auto whole = read_file(path);
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    auto damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    write_file(path, damaged);
    ASSERT_TRUE(journal_content(path).damaged) << bit;
    if (bit % 128 != 0) continue;  // each writes to the disk
    const Journal journal(path);
    ASSERT_TRUE(journal.damage()) << bit;
    ASSERT_EQ(journal.damage()->offset + journal.damage()->bytes, whole.size());
    ASSERT_EQ(read_file(journal.damage()->kept), damaged);
    ASSERT_EQ(read_file(path), whole.substr(0, journal.damage()->offset));
    ASSERT_FALSE(journal_content(path).damaged) << "what is left is whole";
  }
}

TEST_F(JournalTest, DamageIsKeptUnderTheFirstFreeName) {
  const auto with_noise_behind = [&] {
    add({"a record"});
    write_file(path, read_file(path) + "noise");
    return Journal(path).damage()->kept;
  };
  EXPECT_EQ(with_noise_behind(), path.string() + ".damaged-1");
  EXPECT_EQ(with_noise_behind(), path.string() + ".damaged-2");
  std::filesystem::remove(path.string() + ".damaged-1");
  EXPECT_EQ(with_noise_behind(), path.string() + ".damaged-1");
}

TEST_F(JournalTest, FoldersThatAreMissingAreNamed) {
  const auto nowhere = scratch / "missing/records.journal";
  const auto text = testing::error_of(ExitCode::storage, [&] { Journal journal(nowhere); });
  EXPECT_NE(text.find(nowhere.string()), std::string::npos) << text;
}

}  // namespace
}  // namespace langrun
