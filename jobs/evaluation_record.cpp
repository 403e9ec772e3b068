#include "jobs/evaluation_record.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace langrun {
namespace {

constexpr std::int64_t kMostClasses = 100, kGroups = 8;

class Writer {
 public:
  template <typename T>
  void value(const T& v) {
    const auto raw = std::as_bytes(std::span(&v, 1));
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  template <typename T>
  void list(const std::vector<T>& values) {
    value(static_cast<std::uint64_t>(values.size()));
    const auto raw = std::as_bytes(std::span(values));
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : left_(bytes) {}
  template <typename T>
  void value(T& v) {
    std::memcpy(&v, next(sizeof v).data(), sizeof v);
  }
  template <typename T>
  void list(std::vector<T>& values) {
    std::uint64_t count = 0;
    value(count);
    if (count > left_.size() / sizeof(T)) fail();
    const auto raw = next(count * sizeof(T));
    values.resize(count);
    if (count > 0) std::memcpy(values.data(), raw.data(), raw.size());
  }
  std::uint64_t count(std::size_t least) {
    std::uint64_t count = 0;
    value(count);
    if (count > left_.size() / least) fail();
    return count;
  }
  bool more() const { return !left_.empty(); }
  void end() const {
    if (more()) fail();
  }

 private:
  [[noreturn]] static void fail() { throw Error(ExitCode::storage, "an image's record is damaged"); }
  std::span<const std::byte> next(std::size_t size) {
    if (size > left_.size()) fail();
    const auto piece = left_.first(size);
    left_ = left_.subspan(size);
    return piece;
  }
  std::span<const std::byte> left_;
};

// One list of fields for both directions, so that they cannot differ.
template <class Stream, class Check>
void judge_fields(Stream& s, Check& c) {
  s.value(c.purpose);
  s.value(c.restart);
  s.value(c.step);
  s.value(c.label);
  s.list(c.votes);
  s.list(c.logits);
}

template <class Stream, class Check>
void small_fields(Stream& s, Check& c) {
  s.value(c.purpose);
  s.value(c.restart);
  s.value(c.step);
  s.value(c.label);
  s.value(c.loss);
  s.value(c.gradient_norm);
  s.value(c.cosine);
  s.value(c.first_energy);
  s.value(c.last_energy);
}

template <class Stream, class Record>
void image_fields(Stream& s, Record& r) {
  s.value(r.index);
  s.value(r.label);
  s.value(r.image_steps);
  s.list(r.adversarial);
  s.list(r.purified);
  s.list(r.purified_adversarial);
}

std::vector<float> energies_of(const std::vector<JudgeCheck>& checks) {
  std::vector<float> energies;
  for (const auto& check : checks) energies.insert(energies.end(), {check.first_energy, check.last_energy});
  return energies;
}

void take_energies(const std::vector<float>& energies, std::vector<JudgeCheck>& checks) {
  if (energies.size() != 2 * checks.size()) throw Error(ExitCode::storage, "an image's record is damaged");
  for (std::size_t i = 0; i < checks.size(); ++i) {
    checks[i].first_energy = energies[2 * i];
    checks[i].last_energy = energies[2 * i + 1];
  }
}

/// log of the sum over `scores` of exp, without what would overflow.
double log_sum(std::span<const double> scores) {
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const auto score : scores) sum += std::exp(score - top);
  return top + std::log(sum);
}

/// Mean over rows [n, width].
std::vector<float> mean_row(std::span<const float> rows, std::size_t width) {
  const auto count = rows.size() / width;
  std::vector<float> means(width);
  for (std::size_t c = 0; c < width; ++c) {
    double sum = 0;
    for (std::size_t h = 0; h < count; ++h) sum += rows[h * width + c];
    means[c] = static_cast<float>(sum / static_cast<double>(count));
  }
  return means;
}

/// Logarithm of the mean over rows [n, width] of their softmax; finite where a probability is too small for a number.
std::vector<float> mean_probability_row(std::span<const float> rows, std::size_t width) {
  const auto count = rows.size() / width;
  std::vector<double> norms(count), of_class(count);
  for (std::size_t h = 0; h < count; ++h)
    norms[h] = log_sum(std::vector<double>(rows.begin() + static_cast<std::ptrdiff_t>(h * width),
                                           rows.begin() + static_cast<std::ptrdiff_t>((h + 1) * width)));
  std::vector<float> logs(width);
  for (std::size_t c = 0; c < width; ++c) {
    for (std::size_t h = 0; h < count; ++h) of_class[h] = static_cast<double>(rows[h * width + c]) - norms[h];
    logs[c] = static_cast<float>(log_sum(of_class) - std::log(static_cast<double>(count)));
  }
  return logs;
}

}  // namespace

std::int64_t stored_rows(std::int64_t replicates, std::int64_t classes) {
  return classes <= kMostClasses ? replicates : std::min(replicates, kGroups);
}

std::vector<float> stored_logits(std::span<const float> logits, std::int64_t replicates, std::int64_t classes,
                                 const std::string& average) {
  const auto rows = stored_rows(replicates, classes);
  if (rows == replicates) return {logits.begin(), logits.end()};
  const auto width = static_cast<std::size_t>(classes);
  std::vector<float> stored;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto first = static_cast<std::size_t>(row * replicates / rows),
               end = static_cast<std::size_t>((row + 1) * replicates / rows);
    const auto group = logits.subspan(first * width, (end - first) * width);
    const auto one = average == "softmax" ? mean_probability_row(group, width) : mean_row(group, width);
    stored.insert(stored.end(), one.begin(), one.end());
  }
  return stored;
}

std::vector<std::byte> packed(const ImageRecord& record) {
  Writer out;
  image_fields(out, record);
  out.value(static_cast<std::uint64_t>(record.judge.size()));
  for (const auto& check : record.judge) judge_fields(out, check);
  out.value(static_cast<std::uint64_t>(record.small.size()));
  for (const auto& check : record.small) small_fields(out, check);
  out.list(energies_of(record.judge));
  return out.take();
}

ImageRecord unpacked(std::span<const std::byte> bytes) {
  Reader in(bytes);
  ImageRecord record;
  image_fields(in, record);
  record.judge.resize(in.count(16));
  for (auto& check : record.judge) judge_fields(in, check);
  record.small.resize(in.count(16));
  for (auto& check : record.small) small_fields(in, check);
  if (!in.more()) return record;  // of a version that did not keep the judge's energies
  std::vector<float> energies;
  in.list(energies);
  take_energies(energies, record.judge);
  in.end();
  return record;
}

}  // namespace langrun
