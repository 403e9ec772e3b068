#include "jobs/evaluation_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "data/image_store.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr Rule kAllRules[] = {Rule::verified_any_step, Rule::any_step, Rule::majority_vote, Rule::final_step,
                              Rule::resubmission};

/// Writes the columns of a table: one value of each row by `of`.
template <class Rows>
class Columns {
 public:
  Columns(h5::File& file, std::string group, const Rows& rows) : file_(file), group_(std::move(group)), rows_(rows) {}
  template <typename T, class Of>
  void add(const std::string& name, const Of& of) {
    std::vector<T> values;
    for (const auto& row : rows_) values.push_back(static_cast<T>(of(row)));
    file_.write(group_ + "/" + name, {values.size()}, values.data());
  }

 private:
  h5::File& file_;
  std::string group_;
  const Rows& rows_;
};

/// A check and the row of the image it belongs to.
template <class Check>
struct Placed {
  std::int64_t image;
  const Check* check;
};

template <class Check>
std::vector<Placed<Check>> placed(const std::vector<ImageRecord>& records, std::vector<Check> ImageRecord::*checks) {
  std::vector<Placed<Check>> rows;
  for (std::size_t i = 0; i < records.size(); ++i)
    for (const auto& check : records[i].*checks) rows.push_back({static_cast<std::int64_t>(i), &check});
  return rows;
}

template <class Check>
void write_places(Columns<std::vector<Placed<Check>>>& columns) {
  columns.template add<std::int64_t>("image", [](const auto& row) { return row.image; });
  columns.template add<std::int32_t>("purpose", [](const auto& row) { return static_cast<int>(row.check->purpose); });
  columns.template add<std::int32_t>("restart", [](const auto& row) { return row.check->restart; });
  columns.template add<std::int32_t>("step", [](const auto& row) { return row.check->step; });
  columns.template add<std::int32_t>("label", [](const auto& row) { return row.check->label; });
}

void write_judge(h5::File& file, const std::vector<ImageRecord>& records, std::int64_t classes) {
  const auto rows = placed(records, &ImageRecord::judge);
  Columns columns(file, "/judge", rows);
  write_places(columns);
  columns.add<float>("first_energy", [](const auto& row) { return row.check->first_energy; });
  columns.add<float>("last_energy", [](const auto& row) { return row.check->last_energy; });
  const auto votes = rows.empty() ? std::size_t{0} : rows.front().check->votes.size();
  const auto stored =
      rows.empty() ? std::size_t{0} : rows.front().check->logits.size() / static_cast<std::size_t>(classes);
  auto labels = file.create_dataset("/judge/votes", h5::Type::i32, {rows.size(), votes});
  auto logits =
      file.create_dataset("/judge/logits", h5::Type::f32, {rows.size(), stored, static_cast<std::uint64_t>(classes)});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    labels.write_rows(i, 1, rows[i].check->votes.data());
    logits.write_rows(i, 1, rows[i].check->logits.data());
  }
}

void write_small(h5::File& file, const std::vector<ImageRecord>& records) {
  const auto rows = placed(records, &ImageRecord::small);
  Columns columns(file, "/small", rows);
  write_places(columns);
  columns.add<float>("loss", [](const auto& row) { return row.check->loss; });
  columns.add<float>("gradient_norm", [](const auto& row) { return row.check->gradient_norm; });
  columns.add<float>("cosine", [](const auto& row) { return row.check->cosine; });
  columns.add<float>("first_energy", [](const auto& row) { return row.check->first_energy; });
  columns.add<float>("last_energy", [](const auto& row) { return row.check->last_energy; });
}

void write_verdicts(h5::File& file, const std::vector<ImageRecord>& records, const Scoring& scoring) {
  const auto restarts = static_cast<std::uint64_t>(scoring.restarts);
  for (const auto rule : kAllRules) {
    std::vector<std::int64_t> broken;
    for (const auto& record : records)
      for (const auto at : broken_at(record, rule, scoring, recorded_opinion(record.label))) broken.push_back(at);
    file.write(fmt::format("/rules/{}", name_of(rule)), {records.size(), restarts}, broken.data());
    if (rule == Rule::verified_any_step) file.write("/broken_at", {records.size(), restarts}, broken.data());
  }
}

// Images whose pictures were kept. What an image has none of is NaN.
void write_gallery(h5::File& file, const std::vector<ImageRecord>& records, const EvaluationFileFacts& facts) {
  std::vector<const ImageRecord*> pictured;
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < records.size(); ++i)
    if (!records[i].purified.empty() || !records[i].adversarial.empty()) {
      pictured.push_back(&records[i]);
      rows.push_back(static_cast<std::int64_t>(i));
    }
  const auto c = static_cast<std::uint64_t>(facts.image.channels), h = static_cast<std::uint64_t>(facts.image.height),
             w = static_cast<std::uint64_t>(facts.image.width);
  file.write("/gallery/image", {rows.size()}, rows.data());
  if (rows.empty()) return;
  const auto store = ImageStore::open(facts.data);
  auto natural = file.create_dataset("/gallery/natural", h5::Type::u8, {rows.size(), h, w, c});
  std::vector<std::uint8_t> bytes(store.image_bytes());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    store.read(std::span(&pictured[i]->index, 1), bytes);
    natural.write_rows(i, 1, bytes.data());
  }
  const auto add = [&](const char* name, std::vector<float> ImageRecord::*field) {
    auto images = file.create_dataset(fmt::format("/gallery/{}", name), h5::Type::f32, {rows.size(), c, h, w});
    const std::vector<float> none(c * h * w, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto& values = pictured[i]->*field;
      images.write_rows(i, 1, values.empty() ? none.data() : values.data());
    }
  };
  add("adversarial", &ImageRecord::adversarial);
  add("purified", &ImageRecord::purified);
  add("purified_adversarial", &ImageRecord::purified_adversarial);
}

template <typename T>
std::vector<T> column(const h5::File& file, const std::string& name, std::size_t count) {
  auto values = file.dataset(name).read<T>();
  if (values.size() != count)
    throw Error(ExitCode::input,
                fmt::format("{}: {} has {} values, expected {}", file.path().string(), name, values.size(), count));
  return values;
}

template <class Check>
std::vector<Check> read_places(const h5::File& file, const std::string& group, std::vector<std::int64_t>& images) {
  images = file.dataset(group + "/image").read<std::int64_t>();
  const auto count = images.size();
  const auto purpose = column<std::int32_t>(file, group + "/purpose", count),
             restart = column<std::int32_t>(file, group + "/restart", count),
             step = column<std::int32_t>(file, group + "/step", count),
             label = column<std::int32_t>(file, group + "/label", count);
  std::vector<Check> checks(count);
  for (std::size_t i = 0; i < count; ++i) {
    checks[i].purpose = static_cast<Purpose>(purpose[i]);
    checks[i].restart = static_cast<std::uint32_t>(restart[i]);
    checks[i].step = static_cast<std::uint32_t>(step[i]);
    checks[i].label = label[i];
  }
  return checks;
}

ImageRecord& row_of(std::vector<ImageRecord>& records, std::int64_t image, const h5::File& file) {
  if (image < 0 || image >= static_cast<std::int64_t>(records.size()))
    throw Error(ExitCode::input,
                fmt::format("{}: a check of row {}, there are {} images", file.path().string(), image, records.size()));
  return records[static_cast<std::size_t>(image)];
}

/// A column into one field of each check.
template <class Check>
void read_field(const h5::File& file, const std::string& name, std::vector<Check>& checks, float Check::*field) {
  const auto values = column<float>(file, name, checks.size());
  for (std::size_t i = 0; i < checks.size(); ++i) checks[i].*field = values[i];
}

/// Throws unless the dataset is a row of `rank - 1` extents for each of `count` checks.
void check_rows(const h5::File& file, const h5::Dataset& dataset, std::size_t rank, std::size_t count) {
  if (dataset.shape().size() == rank && dataset.shape()[0] == count) return;
  throw Error(ExitCode::input, fmt::format("{}: {} is {}, expected {} extents, the first {}", file.path().string(),
                                           dataset.name(), h5::to_text(dataset.shape()), rank, count));
}

void read_judge(const h5::File& file, std::vector<ImageRecord>& records) {
  std::vector<std::int64_t> images;
  auto checks = read_places<JudgeCheck>(file, "/judge", images);
  if (file.has("/judge/first_energy")) {  // older records have none
    read_field(file, "/judge/first_energy", checks, &JudgeCheck::first_energy);
    read_field(file, "/judge/last_energy", checks, &JudgeCheck::last_energy);
  }
  const auto votes = file.dataset("/judge/votes"), logits = file.dataset("/judge/logits");
  check_rows(file, votes, 2, checks.size());
  check_rows(file, logits, 3, checks.size());
  for (std::size_t i = 0; i < checks.size(); ++i) {
    checks[i].votes.resize(votes.shape().at(1));
    checks[i].logits.resize(logits.shape().at(1) * logits.shape().at(2));
    votes.read_rows(i, 1, checks[i].votes.data());
    logits.read_rows(i, 1, checks[i].logits.data());
    row_of(records, images[i], file).judge.push_back(std::move(checks[i]));
  }
}

void read_small(const h5::File& file, std::vector<ImageRecord>& records) {
  std::vector<std::int64_t> images;
  auto checks = read_places<SmallCheck>(file, "/small", images);
  read_field(file, "/small/loss", checks, &SmallCheck::loss);
  read_field(file, "/small/gradient_norm", checks, &SmallCheck::gradient_norm);
  read_field(file, "/small/cosine", checks, &SmallCheck::cosine);
  read_field(file, "/small/first_energy", checks, &SmallCheck::first_energy);
  read_field(file, "/small/last_energy", checks, &SmallCheck::last_energy);
  for (std::size_t i = 0; i < checks.size(); ++i) row_of(records, images[i], file).small.push_back(checks[i]);
}

void read_purified(const h5::File& file, std::vector<ImageRecord>& records) {
  if (!file.has("/gallery/purified")) return;
  const auto images = file.dataset("/gallery/image").read<std::int64_t>();
  const auto purified = file.dataset("/gallery/purified");
  check_rows(file, purified, 4, images.size());
  const auto shape = purified.shape();
  std::vector<float> values(shape.at(1) * shape.at(2) * shape.at(3));
  for (std::size_t i = 0; i < images.size(); ++i) {
    purified.read_rows(i, 1, values.data());
    if (!values.empty() && !std::isnan(values.front())) row_of(records, images[i], file).purified = values;
  }
}

}  // namespace

void write_evaluation(const fs::path& path, const std::vector<ImageRecord>& records, const Scoring& scoring,
                      const EvaluationFileFacts& facts) {
  const fs::path partial = path.string() + ".partial";
  std::error_code ignored;
  fs::remove(partial, ignored);
  auto file = h5::File::create(partial);
  Columns columns(file, "", records);
  columns.add<std::uint64_t>("index", [](const auto& r) { return r.index; });
  columns.add<std::int64_t>("label", [](const auto& r) { return r.label; });
  columns.add<std::uint8_t>("natural_correct", [](const auto& r) { return naturally_correct(r); });
  columns.add<std::uint64_t>("image_steps", [](const auto& r) { return r.image_steps; });
  write_verdicts(file, records, scoring);
  write_judge(file, records, scoring.classes);
  write_small(file, records);
  write_gallery(file, records, facts);
  file.write_attribute("/", "configuration", facts.configuration);
  if (!facts.inputs.empty()) file.write_attribute("/", "inputs", facts.inputs);
  file.write_attribute("/", "classes", facts.classes);
  file.seal();
  sync_path(partial);
  rename_durably(partial, path);
}

EvaluationFile read_evaluation(const fs::path& path) {
  const auto file = h5::File::open(path);
  if (!file.has("/judge/logits"))
    throw Error(ExitCode::input, fmt::format("{} is not the record of an evaluation", path.string()),
                "name a folder of `langrun defend`");
  const auto index = file.dataset("/index").read<std::uint64_t>();
  const auto label = column<std::int64_t>(file, "/label", index.size());
  const auto steps = column<std::uint64_t>(file, "/image_steps", index.size());
  std::vector<ImageRecord> records(index.size());
  for (std::size_t i = 0; i < index.size(); ++i) {
    records[i].index = index[i];
    records[i].label = label[i];
    records[i].image_steps = steps[i];
  }
  read_judge(file, records);
  read_small(file, records);
  read_purified(file, records);
  return {std::move(records), file.read_texts_attribute("/", "classes"), file.read_text_attribute("/", "configuration"),
          file.has_attribute("/", "inputs") ? file.read_text_attribute("/", "inputs") : ""};
}

}  // namespace langrun
