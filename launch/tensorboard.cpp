// This file stands in a target of its own: LibTorch's include folder holds headers of another protobuf release, which
// must not be found here (launch/CMakeLists.txt).
#include "launch/tensorboard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "tfevents.pb.h"

namespace langrun::launch {
namespace {

constexpr const char* kPrefix = "events.out.tfevents.";

[[noreturn]] void fail(const std::filesystem::path& path, int reason) {
  throw Error(ExitCode::storage, "cannot write " + path.string() + ": " + std::strerror(reason),
              "make room, or check that the run folder is writable; then go on with --resume");
}

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[byte] = crc;
  }
  return table;
}

/// TensorBoard's files hold checksums rotated and shifted, so that a checksum of bytes that hold checksums stays good.
std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// `value` in `count` bytes, lowest first, whatever the machine's own order.
std::string little_endian(std::uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
  return bytes;
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

tfevents::Event event_of(std::int64_t step) {
  tfevents::Event event;
  event.set_wall_time(now());
  event.set_step(step);
  return event;
}

/// A second since 1970 later than those in the names of the events files in `folder`: names decide TensorBoard's order.
std::int64_t next_second(const std::filesystem::path& folder) {
  auto second = static_cast<std::int64_t>(now());
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    second = std::max<std::int64_t>(second, std::atoll(name.c_str() + std::strlen(kPrefix)) + 1);
  }
  return second;
}

std::filesystem::path new_name(const std::filesystem::path& folder) {
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  return folder / (kPrefix + std::to_string(next_second(folder)) + "." + host + "." + std::to_string(::getpid()));
}

/// Edges of `bins` bins of ages: 0, 1, 2, 4, 8, ...; of anything else: 0, 1, 2, 3, ...
std::vector<double> edges_of(const std::string& name, std::size_t bins) {
  std::vector<double> edges;
  for (std::size_t i = 0; i <= bins; ++i)
    edges.push_back(!name.ends_with("_ages") ? static_cast<double>(i)
                    : i == 0                 ? 0.0
                                             : std::ldexp(1.0, static_cast<int>(i) - 1));
  return edges;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::uint8_t> bytes) {
  static constexpr auto table = crc_table();
  std::uint32_t crc = 0xffffffffu;
  for (const auto byte : bytes) crc = (crc >> 8) ^ table[(crc ^ byte) & 0xff];
  return ~crc;
}

EventsWriter::EventsWriter(const std::filesystem::path& folder, std::int64_t finished_steps) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) fail(folder, failed.value());
  path_ = new_name(folder);
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0) fail(path_, errno);
  auto first = event_of(0);
  first.set_file_version("brain.Event:2");
  write(first.SerializeAsString());
  if (finished_steps == 0) return;
  // A session that starts at step s makes TensorBoard drop all it knew of steps >= s.
  auto start = event_of(finished_steps + 1);
  start.mutable_session_log()->set_status(tfevents::SessionLog::START);
  write(start.SerializeAsString());
}

EventsWriter::~EventsWriter() { ::close(file_); }

void EventsWriter::write(const std::string& event) {
  const auto length = little_endian(event.size(), 8);
  const auto record = length + little_endian(masked(crc32c(bytes_of(length))), 4) + event +
                      little_endian(masked(crc32c(bytes_of(event))), 4);
  struct stat before {};
  if (::fstat(file_, &before) != 0) fail(path_, errno);
  for (std::size_t done = 0; done < record.size();) {
    const auto written = ::write(file_, record.data() + done, record.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int reason = errno;
      // Part of a record would end TensorBoard's reading of the file.
      if (::ftruncate(file_, before.st_size) != 0) fail(path_, errno);
      fail(path_, reason);
    }
    done += static_cast<std::size_t>(written);
  }
}

void EventsWriter::scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  auto event = event_of(step);
  for (const auto& [tag, number] : values) {
    auto* value = event.mutable_summary()->add_value();
    value->set_tag(tag);
    value->set_simple_value(static_cast<float>(number));
  }
  write(event.SerializeAsString());
}

void EventsWriter::histogram(std::int64_t step, const std::string& tag, std::span<const double> edges,
                             std::span<const double> counts) {
  auto event = event_of(step);
  auto* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  auto* histogram = value->mutable_histo();
  double num = 0, sum = 0, sum_squares = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double count = std::isfinite(counts[i]) && counts[i] > 0 ? counts[i] : 0;
    const double middle = (edges[i] + edges[i + 1]) / 2;
    histogram->add_bucket_limit(edges[i + 1]);
    histogram->add_bucket(count);
    if (count == 0) continue;
    // TensorBoard draws from min to max and leaves out the empty bins at both ends.
    if (num == 0) histogram->set_min(edges[i]);
    histogram->set_max(edges[i + 1]);
    num += count;
    sum += count * middle;
    sum_squares += count * middle * middle;
  }
  histogram->set_num(num);
  histogram->set_sum(sum);
  histogram->set_sum_squares(sum_squares);
  write(event.SerializeAsString());
}

void EventsWriter::record(const StepRecord& record) {
  std::vector<std::pair<std::string, double>> values;
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) values.emplace_back(name, *value);
  };
  add("train/energy_difference", record.energy_difference);
  add("train/gradient_magnitude", record.gradient_magnitude);
  add("train/loss", record.loss);
  add("train/accuracy", record.accuracy);
  add("train/learning_rate", record.learning_rate);
  add("train/generator_loss", record.generator_loss);
  add("train/bank_mean_age", record.bank_mean_age);
  for (const auto& [name, value] : record.more) values.emplace_back("train/" + name, value);
  values.emplace_back("speed/image_steps_per_second", record.image_steps_per_second);
  values.emplace_back("speed/seconds_sample", record.seconds_sample.avg);
  values.emplace_back("speed/seconds_update", record.seconds_update.avg);
  values.emplace_back("speed/seconds_exchange", record.seconds_exchange.avg);
  values.emplace_back("speed/seconds_checkpoint", record.seconds_checkpoint.avg);
  scalars(record.step, values);
  for (const auto& [name, counts] : record.arrays)
    histogram(record.step, "train/" + name, edges_of(name, counts.size()), counts);
}

void EventsWriter::image(std::int64_t step, const std::string& tag, std::int64_t width, std::int64_t height,
                         int channels, std::span<const std::uint8_t> png) {
  auto event = event_of(step);
  auto* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  auto* image = value->mutable_image();
  image->set_width(static_cast<std::int32_t>(width));
  image->set_height(static_cast<std::int32_t>(height));
  image->set_colorspace(channels);
  image->set_encoded_image_string(png.data(), png.size());
  write(event.SerializeAsString());
}

}  // namespace langrun::launch
