// Events read back by a parser of our own here: records, checksums and the protobuf wire format by hand, with no help
// from the code that writes them.
#include "launch/tensorboard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "core/error.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

std::uint64_t little_endian(const std::string& bytes, std::size_t at, int count) {
  std::uint64_t value = 0;
  for (auto i = at + static_cast<std::size_t>(count); i-- > at;)
    value = value << 8 | static_cast<unsigned char>(bytes.at(i));
  return value;
}

/// CRC32C bit by bit, masked as TensorBoard does.
std::uint32_t masked_checksum(const std::string& bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

std::vector<std::string> records_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  const auto bytes = all.str();
  std::vector<std::string> records;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto length = little_endian(bytes, at, 8);
    EXPECT_EQ(little_endian(bytes, at + 8, 4), masked_checksum(bytes.substr(at, 8)));
    records.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(records.back().size(), length);
    EXPECT_EQ(little_endian(bytes, at + 12 + length, 4), masked_checksum(records.back()));
    at += 16 + length;
  }
  return records;
}

/// Fields of a message by number: numbers as they stand, nested messages and texts as bytes.
struct Message {
  std::multimap<int, std::uint64_t> numbers;
  std::multimap<int, std::string> bytes;
};

Message parse(const std::string& text) {
  Message message;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(text.at(at++));
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < text.size()) {
    const auto key = varint();
    const int field = static_cast<int>(key >> 3);
    if ((key & 7) == 0) message.numbers.emplace(field, varint());
    if ((key & 7) == 1) message.numbers.emplace(field, little_endian(text, at, 8)), at += 8;
    if ((key & 7) == 5) message.numbers.emplace(field, little_endian(text, at, 4)), at += 4;
    if ((key & 7) == 2) {
      const auto length = varint();
      message.bytes.emplace(field, text.substr(at, length));
      at += length;
    }
  }
  return message;
}

std::uint64_t number(const Message& message, int field) {
  const auto found = message.numbers.find(field);
  return found == message.numbers.end() ? 0 : found->second;
}
std::string bytes(const Message& message, int field) {
  const auto found = message.bytes.find(field);
  return found == message.bytes.end() ? "" : found->second;
}

constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;

class EventsTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST(Crc32c, MatchesTheStandardsValues) {
  const auto of = [](const std::string& text) {
    return crc32c({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  EXPECT_EQ(of("123456789"), 0xe3069283u);
  EXPECT_EQ(of(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(of(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(of(""), 0u);
}

TEST_F(EventsTest, ScalarsReadBack) {
  EventsWriter writer(folder_, 0);
  EXPECT_TRUE(writer.path().filename().string().starts_with("events.out.tfevents."));
  writer.scalars(12, {{"train/a", 0.1}, {"train/b", -3.0}});
  const auto records = records_of(writer.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(bytes(parse(records[0]), kFileVersion), "brain.Event:2");
  const auto event = parse(records[1]);
  EXPECT_EQ(number(event, kStep), 12u);
  EXPECT_GT(std::bit_cast<double>(number(event, kWallTime)), 1.7e9);
  const auto summary = parse(bytes(event, kSummary));
  ASSERT_EQ(summary.bytes.count(1), 2u);
  auto value = summary.bytes.find(1);
  EXPECT_EQ(bytes(parse(value->second), 1), "train/a");
  EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(number(parse(value->second), 2))), 0.1f);
  ++value;
  EXPECT_EQ(bytes(parse(value->second), 1), "train/b");
  EXPECT_EQ(std::bit_cast<float>(static_cast<std::uint32_t>(number(parse(value->second), 2))), -3.0f);
}

TEST_F(EventsTest, ARecordCarriesAllItsNumbers) {
  EventsWriter writer(folder_, 0);
  StepRecord record;
  record.step = 3;
  record.energy_difference = 4;
  record.gradient_magnitude = 5;
  record.generator_loss = 1;
  record.more = {{"energy_data", 2}};
  writer.record(record);
  const auto summary = parse(bytes(parse(records_of(writer.path()).at(1)), kSummary));
  std::vector<std::string> tags;
  for (const auto& [field, value] : summary.bytes) tags.push_back(bytes(parse(value), 1));
  EXPECT_EQ(tags,
            (std::vector<std::string>{"train/energy_difference", "train/gradient_magnitude", "train/learning_rate",
                                      "train/generator_loss", "train/energy_data", "speed/image_steps_per_second",
                                      "speed/seconds_sample", "speed/seconds_update", "speed/seconds_exchange",
                                      "speed/seconds_checkpoint"}));
}

TEST_F(EventsTest, AClassifiersRecordHasNoEnergies) {
  EventsWriter writer(folder_, 0);
  StepRecord record;
  record.step = 1;
  record.loss = 2;
  record.accuracy = 0.5;
  writer.record(record);
  const auto summary = parse(bytes(parse(records_of(writer.path()).at(1)), kSummary));
  std::vector<std::string> tags;
  for (const auto& [field, value] : summary.bytes) tags.push_back(bytes(parse(value), 1));
  ASSERT_GE(tags.size(), 3u);
  tags.resize(3);
  EXPECT_EQ(tags, (std::vector<std::string>{"train/loss", "train/accuracy", "train/learning_rate"}));
}

/// Packed doubles of a repeated field.
std::vector<double> doubles(const Message& message, int field) {
  const auto packed = bytes(message, field);
  std::vector<double> values;
  for (std::size_t at = 0; at < packed.size(); at += 8)
    values.push_back(std::bit_cast<double>(little_endian(packed, at, 8)));
  return values;
}

TEST_F(EventsTest, ArraysBecomeHistograms) {
  constexpr int kHisto = 5, kMin = 1, kMax = 2, kNum = 3, kSum = 4, kSumSquares = 5, kLimits = 6, kCounts = 7;
  EventsWriter writer(folder_, 0);
  StepRecord record;
  record.step = 9;
  record.arrays = {{"bank_ages", {0, 3, 0, 2, std::nan("")}}, {"others", {1, 1, 1}}, {"burn_in_ages", {0, 0}}};
  writer.record(record);
  const auto records = records_of(writer.path());
  ASSERT_EQ(records.size(), 5u);
  const auto histogram_at = [&](std::size_t at, const std::string& tag) {
    EXPECT_EQ(number(parse(records.at(at)), kStep), 9u);
    const auto value = parse(bytes(parse(bytes(parse(records.at(at)), kSummary)), 1));
    EXPECT_EQ(bytes(value, 1), tag);
    return parse(bytes(value, kHisto));
  };
  const auto real = [](const Message& message, int field) { return std::bit_cast<double>(number(message, field)); };

  const auto ages = histogram_at(2, "train/bank_ages");
  EXPECT_EQ(doubles(ages, kLimits), (std::vector<double>{1, 2, 4, 8, 16}));
  EXPECT_EQ(doubles(ages, kCounts), (std::vector<double>{0, 3, 0, 2, 0}));
  EXPECT_EQ(real(ages, kMin), 1.0);  // the first bin that holds anything begins here
  EXPECT_EQ(real(ages, kMax), 8.0);
  EXPECT_EQ(real(ages, kNum), 5.0);
  EXPECT_EQ(real(ages, kSum), 3 * 1.5 + 2 * 6.0);
  EXPECT_EQ(real(ages, kSumSquares), 3 * 1.5 * 1.5 + 2 * 36.0);

  const auto others = histogram_at(3, "train/others");
  EXPECT_EQ(doubles(others, kLimits), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(real(others, kMin), 0.0);

  const auto empty = histogram_at(4, "train/burn_in_ages");
  EXPECT_EQ(real(empty, kNum), 0.0);
  EXPECT_EQ(doubles(empty, kCounts), (std::vector<double>{0, 0}));
}

TEST_F(EventsTest, PicturesReadBack) {
  EventsWriter writer(folder_, 0);
  const std::vector<std::uint8_t> png{137, 'P', 'N', 'G', 0, 255, 0};
  writer.image(1000, "samples", 640, 320, 3, png);
  const auto summary = parse(bytes(parse(records_of(writer.path()).at(1)), kSummary));
  const auto value = parse(bytes(summary, 1));
  EXPECT_EQ(bytes(value, 1), "samples");
  const auto image = parse(bytes(value, 4));
  EXPECT_EQ(number(image, 1), 320u);
  EXPECT_EQ(number(image, 2), 640u);
  EXPECT_EQ(number(image, 3), 3u);
  EXPECT_EQ(bytes(image, 4), std::string(png.begin(), png.end()));
}

TEST_F(EventsTest, AResumeStartsALaterFileThatPurges) {
  EventsWriter first(folder_, 0);
  EventsWriter second(folder_, 20);
  EventsWriter third(folder_, 30);
  EXPECT_LT(first.path().filename().string(), second.path().filename().string());
  EXPECT_LT(second.path().filename().string(), third.path().filename().string());
  const auto records = records_of(second.path());
  ASSERT_EQ(records.size(), 2u);
  const auto start = parse(records[1]);
  EXPECT_EQ(number(start, kStep), 21u);
  EXPECT_EQ(number(parse(bytes(start, kSessionLog)), 1), 1u);
}

TEST(EventsWriter, AFolderThatCannotBeMadeIsAStorageError) {
  try {
    EventsWriter writer("/proc/no-such-place", 0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::storage);
  }
}

}  // namespace
}  // namespace langrun::launch
