#include "launch/verify_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "data/durable.h"
#include "data/generation_folder.h"
#include "data/hdf5.h"
#include "data/image_store.h"
#include "data/journal.h"
#include "data/weights_file.h"
#include "jobs/evaluation_file.h"
#include "jobs/evaluation_record.h"
#include "jobs/sample_folder.h"
#include "jobs/sample_state.h"
#include "launch/evaluation_journal.h"
#include "launch/options.h"
#include "launch/sample_records.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code none;
  return fs::exists(fs::symlink_status(path, none));
}

/// The number between the two in a file's name, or -1.
std::int64_t number_between(std::string_view name, std::string_view before, std::string_view after) {
  if (name.size() < before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after)) return -1;
  const auto digits = name.substr(before.size(), name.size() - before.size() - after.size());
  std::int64_t number = -1;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return failure == std::errc() && end == digits.data() + digits.size() ? number : -1;
}

std::set<std::int64_t> numbered_files(const fs::path& folder, std::string_view before) {
  std::set<std::int64_t> numbers;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (const auto number = number_between(entry.path().filename().string(), before, ".h5"); number >= 0)
      numbers.insert(number);
  return numbers;
}

CheckedPart checked_weights(const fs::path& path) {
  CheckedPart part{path.filename().string(), "", {}};
  note_problems(part, path, [&] {
    const WeightsFile file(path);
    for (const auto& name : file.parts()) (void)file.facts(name), (void)file.read(name);
  });
  return part;
}

class EvaluationCheck {
 public:
  EvaluationCheck(fs::path run, std::string prefix, const Seen& seen)
      : run_(std::move(run)), prefix_(std::move(prefix)), seen_(seen) {}

  void check() const {
    journal();
    if (is_there(run_ / "records.h5")) tell(records());
    if (is_there(run_ / "energy.h5")) tell(checked_weights(run_ / "energy.h5"));
  }

 private:
  void tell(CheckedPart part) const {
    part.name = prefix_ + part.name;
    seen_(part);
  }

  bool through() const { return is_there(run_ / "result.json") && is_there(run_ / "records.h5"); }

  void journal() const {
    const auto state = newest_generation_folder(run_, kEvaluationState).path;
    // Of an evaluation that is through, a person may have taken the folder away.
    if (!is_there(state) && through()) return;
    const auto path = state / kImageJournal;
    CheckedPart part{(state.filename() / kImageJournal).string(), "", {}};
    note_problems(part, path, [&] { read(path, part); });
    tell(std::move(part));
  }

  void read(const fs::path& path, CheckedPart& part) const {
    const auto content = journal_content(path);
    if (content.damaged)
      part.problems.push_back(fmt::format("{}: damaged at byte {}; a resume leaves the {} bytes from there on out",
                                          path.string(), content.end, content.rest));
    if (content.records.empty() && !content.damaged) return note_no_head(path, part);
    // The first says which configuration the others are of.
    for (std::size_t i = 1; i < content.records.size(); ++i) (void)unpacked(content.records[i]);
    part.remark = counted(std::max<std::size_t>(content.records.size(), 1) - 1, "finished image");
    if (content.rest > 0 && !content.damaged)
      part.remark += fmt::format("; {} bytes of a record that a kill cut off do not count", content.rest);
  }

  void note_no_head(const fs::path& path, CheckedPart& part) const {
    if (journal_was_begun(run_))
      part.problems.push_back(fmt::format("{}: {} although the evaluation was begun", path.string(),
                                          is_there(path) ? "holds no record" : "is missing"));
    else
      part.remark = "no image was begun, or all were lost";
  }

  CheckedPart records() const {
    const auto path = run_ / "records.h5";
    CheckedPart part{"records.h5", "", {}};
    note_problems(part, path, [&] { part.remark = counted(read_evaluation(path).records.size(), "image"); });
    return part;
  }

  const fs::path run_;
  const std::string prefix_;
  const Seen& seen_;
};

class SamplingCheck {
 public:
  SamplingCheck(fs::path run, std::string configuration, const Seen& seen)
      : run_(std::move(run)), configuration_(std::move(configuration)), seen_(seen) {}

  void check() const {
    // Once all chains are begun nothing else says what energy they walk under.
    if (chains_begun(run_) || is_there(run_ / "weights.h5")) seen_(checked_weights(run_ / "weights.h5"));
    auto steps = numbered_files(run_, "step-");
    if (is_there(run_ / "chains.h5"))
      seen_(chains(steps));
    else if (steps.size() > 1)  // the first is there before the table
      seen_({"chains.h5", "", {fmt::format("{}: is missing", (run_ / "chains.h5").string())}});
    for (const auto step : steps) seen_(store(step));
    blocks();
  }

 private:
  /// Adds the steps that it lists.
  CheckedPart chains(std::set<std::int64_t>& steps) const {
    const auto path = run_ / "chains.h5";
    CheckedPart part{"chains.h5", "", {}};
    note_problems(part, path, [&] {
      const auto file = h5::File::open(path);
      const auto listed = file.dataset("/steps").read<std::int64_t>();
      const auto energy = file.dataset("/energy");
      const h5::Shape shape{energy.shape().empty() ? 0 : energy.shape()[0], listed.size()};
      for (const char* name : {"/energy", "/gradient_magnitude", "/residual"}) {
        if (!file.has(name) && name == std::string_view("/residual")) continue;  // of a hat alone
        const auto table = file.dataset(name);
        if (table.shape() != shape)
          throw Error(ExitCode::input,
                      fmt::format("{} is {}, expected {}", name, h5::to_text(table.shape()), h5::to_text(shape)));
        (void)table.read<float>();
      }
      steps.insert(listed.begin(), listed.end());
      part.remark = fmt::format("{} of {}", counted(listed.size(), "listed step"), counted(shape[0], "chain"));
    });
    return part;
  }

  CheckedPart store(std::int64_t step) const {
    const auto path = step_store(run_, step);
    CheckedPart part{path.filename().string(), "", {}};
    note_problems(part, path, [&] {
      const auto images = ImageStore::open(path, Accept::any_type);
      images.check_images();
      part.remark = counted(images.count(), "image");
      if (!images.content()) part.remark += ", which an older langrun wrote without checksums";
    });
    return part;
  }

  /// A number of run.cfg; 0 where there is none.
  std::int64_t number(const std::string& key) const {
    const auto text = configured(configuration_, key, (run_ / "run.cfg").string()).value_or("");
    std::int64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failure == std::errc() && end == text.data() + text.size() ? std::max<std::int64_t>(value, 0) : 0;
  }

  void blocks() const {
    const auto state = newest_generation_folder(run_, kSampleState).path;
    if (!fs::is_directory(state)) return;  // may be taken away once no more steps will be listed
    CheckedPart part{state.filename().string(), "", {}};
    const auto call = number("call");
    auto numbers = numbered_files(state, "block-");
    part.remark = counted(numbers.size(), "block") + " of chains";
    if (chains_begun(run_) && call > 0)
      for (std::int64_t block = 0; block * call < number("count"); ++block) numbers.insert(block);
    for (const auto block : numbers)
      note_problems(part, block_file(state, block), [&] { check_block(state, block, call); });
    seen_(part);
  }

  const fs::path run_;
  const std::string configuration_;
  const Seen& seen_;
};

std::string job_of(const fs::path& run) {
  return configured(read_text(run / "run.cfg", kMostConfiguration), "job", (run / "run.cfg").string()).value_or("");
}

void check_sweep(const fs::path& dir, const Seen& seen) {
  std::set<fs::path> points;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(dir / "points", none))
    if (is_there(entry.path() / "run.cfg")) points.insert(entry.path());
  for (const auto& point : points)
    EvaluationCheck(point, fmt::format("points/{}/", point.filename().string()), seen).check();
}

}  // namespace

bool has_no_checkpoints(const fs::path& dir) {
  if (!is_there(dir / "run.cfg")) return is_there(dir / "sweep.txt");
  try {
    const auto job = job_of(dir);
    return job == "defend" || job == "sample";
  } catch (const Error&) {
    return false;
  }
}

void check_folder(const fs::path& dir, const Seen& seen) {
  if (!is_there(dir / "run.cfg")) return check_sweep(dir, seen);
  if (job_of(dir) == "defend") return EvaluationCheck(dir, "", seen).check();
  SamplingCheck(dir, read_text(dir / "run.cfg", kMostConfiguration), seen).check();
}

void verify_folder(const fs::path& dir) {
  tell_parts(
      [&](const Seen& seen) { check_folder(dir, seen); },
      "bring the file back from a copy; without it an evaluation does what was lost again, a sampling cannot go on");
}

}  // namespace langrun::launch
