#include "launch/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "data/durable.h"
#include "data/generation_folder.h"

namespace langrun::launch {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int reason) {
  const bool full = reason == ENOSPC || reason == EDQUOT;
  throw Error(ExitCode::storage, fmt::format("cannot write {}: {}", path.string(), std::strerror(reason)),
              full ? "make room on the disk, then go on with --resume" : "check that the run folder is writable");
}

void refuse_if_overtaken(const std::filesystem::path& path, const MetricsWriter::Ours& ours) {
  if (ours && !ours()) throw overtaken_error(path.parent_path());
}

/// All of `text`; errno of the first failure, or 0.
int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

std::string json_array(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : ", ") + json_number(value);
  return "[" + text + "]";
}

std::string json_spread(const Spread& spread) {
  return fmt::format("{{\"min\": {}, \"avg\": {}, \"max\": {}}}", json_number(spread.min), json_number(spread.avg),
                     json_number(spread.max));
}

/// Step of a line, or nothing where it is no record.
std::optional<std::int64_t> step_of(const std::string& line) {
  const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("step") || !object["step"].is_number_integer()) return std::nullopt;
  return object["step"].get<std::int64_t>();
}

/// How much of a metrics file stays.
struct Part {
  MetricsWriter::Truncation lines;
  std::uintmax_t bytes = 0;  // length of the lines that stay
};

/// Of what lies between a line and the next one; the first gap is the one to be told.
void note_gap(MetricsWriter::Truncation& lines, std::int64_t before, std::int64_t next) {
  if (!lines.missing.empty() || next <= before + 1) return;
  lines.missing = next == before + 2 ? fmt::format("step {} is missing", before + 1)
                                     : fmt::format("steps {} to {} are missing", before + 1, next - 1);
}

Part part_until(const std::filesystem::path& path, std::int64_t step) {
  require_regular(path);
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ExitCode::storage, fmt::format("cannot read {}", path.string()), "check its permissions");
  Part part;
  std::string line;
  std::int64_t before = 0;
  bool past = false;  // steps only grow, so all that follows the first later line goes with it
  while (std::getline(in, line)) {
    // getline stops at the end of the file too: a line without its end was being written when the program died.
    const bool whole = !in.eof();
    const auto found = past || !whole ? std::nullopt : step_of(line);
    past = past || !whole || (found && *found > step);
    if (past) {
      ++part.lines.dropped;
      continue;
    }
    if (!found)
      throw Error(
          ExitCode::storage,
          fmt::format("{}: line {} is damaged (expected one JSON object a step)", path.string(), part.lines.kept + 1),
          "move the file away to go on without the earlier metrics, or mend the line");
    ++part.lines.kept;
    part.bytes += line.size() + 1;
    if (part.lines.kept == 1) before = *found - 1;  // earlier ones may have been moved away
    note_gap(part.lines, before, *found);
    before = *found;
  }
  note_gap(part.lines, before, step + 1);
  return part;
}

/// The first `bytes` of a file as a file of their own, on the disk.
void copy_part(const std::filesystem::path& path, std::uintmax_t bytes, const std::filesystem::path& copy) {
  std::error_code failed;
  std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing, failed);
  if (!failed) std::filesystem::resize_file(copy, bytes, failed);
  if (failed) fail(path, failed.value());
  sync_path(copy);
}

}  // namespace

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  auto text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string to_json_line(const StepRecord& record) {
  std::string line = fmt::format("{{\"step\": {}", record.step);
  const auto add = [&](std::string_view name, const std::string& value) {
    line += fmt::format(", {}: {}", nlohmann::json(name).dump(), value);
  };
  const auto add_known = [&](std::string_view name, const std::optional<double>& value) {
    if (value) add(name, json_number(*value));
  };
  add_known("energy_difference", record.energy_difference);
  add_known("gradient_magnitude", record.gradient_magnitude);
  add_known("loss", record.loss);
  add_known("accuracy", record.accuracy);
  add("learning_rate", json_number(record.learning_rate));
  add_known("generator_loss", record.generator_loss);
  add_known("bank_mean_age", record.bank_mean_age);
  add("image_steps_per_second", json_number(record.image_steps_per_second));
  add("seconds_sample", json_spread(record.seconds_sample));
  add("seconds_update", json_spread(record.seconds_update));
  add("seconds_exchange", json_spread(record.seconds_exchange));
  add("seconds_checkpoint", json_spread(record.seconds_checkpoint));
  for (const auto& [name, value] : record.more) add(name, json_number(value));
  for (const auto& [name, values] : record.arrays) add(name, json_array(values));
  return line + "}";
}

MetricsWriter::MetricsWriter(std::filesystem::path path, Ours ours) : path_(std::move(path)), ours_(std::move(ours)) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0) fail(path_, errno);
  // Only now: a newer start takes the run first and makes a new file then, so one that was opened before is not its
  // own.
  try {
    refuse_if_overtaken(path_, ours_);
  } catch (const Error&) {
    ::close(file_);
    throw;
  }
}

MetricsWriter::~MetricsWriter() { ::close(file_); }

void MetricsWriter::append(const StepRecord& record) {
  struct stat before {};
  if (::fstat(file_, &before) != 0) fail(path_, errno);
  const int reason = write_all(file_, to_json_line(record) + "\n");
  if (reason == 0) return;
  // A disk that fills up takes part of the line; without it the file stays readable.
  if (::ftruncate(file_, before.st_size) != 0) fail(path_, errno);
  fail(path_, reason);
}

bool MetricsWriter::in_its_place() const {
  struct stat own {};
  struct stat there {};
  if (::fstat(file_, &own) != 0) fail(path_, errno);
  return ::stat(path_.c_str(), &there) == 0 && own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

void MetricsWriter::put_back() {
  std::string lines;
  std::array<char, 1 << 16> piece;
  for (;;) {
    const auto got = ::pread(file_, piece.data(), piece.size(), static_cast<off_t>(lines.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path_, errno);
    if (got == 0) break;
    lines.append(piece.data(), static_cast<std::size_t>(got));
  }
  // Not under the name that an older start writes its own copy to.
  auto aside = path_;
  aside += ".back.partial";
  write_durably(aside, lines);
  const int file = ::open(aside.c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
  if (file < 0) fail(path_, errno);
  ::close(std::exchange(file_, file));
  rename_durably(aside, path_);
}

void MetricsWriter::sync() {
  if (!in_its_place() && (!ours_ || ours_())) put_back();
  if (::fsync(file_) != 0) fail(path_, errno);
}

MetricsWriter::Truncation MetricsWriter::look(const std::filesystem::path& path, std::int64_t step) {
  return part_until(path, step).lines;
}

MetricsWriter::Truncation MetricsWriter::move_after(const std::filesystem::path& path, std::int64_t step,
                                                    const std::filesystem::path& aside, const GenerationFolder& home) {
  const auto part = part_until(path, step);
  write_durably(aside, read_text(path).substr(part.bytes));
  return truncate_after(path, step, home);
}

MetricsWriter::Truncation MetricsWriter::truncate_after(const std::filesystem::path& path, std::int64_t step,
                                                        const std::optional<GenerationFolder>& home) {
  if (!std::filesystem::exists(path)) {
    Truncation none;
    note_gap(none, 0, step + 1);
    return none;
  }
  const auto part = part_until(path, step);
  // A new file even where nothing is dropped: a start that was overtaken goes on writing into the old one until it
  // knows.
  const auto write = [&](const std::filesystem::path& partial) { copy_part(path, part.bytes, partial); };
  if (home) {
    publish_from(*home, path, write);
    return part.lines;
  }
  auto partial = path;
  partial += ".partial";
  try {
    write(partial);
  } catch (const Error&) {
    ::unlink(partial.c_str());
    throw;
  }
  rename_durably(partial, path);
  return part.lines;
}

}  // namespace langrun::launch
