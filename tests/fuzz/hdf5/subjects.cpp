#include "tests/fuzz/hdf5/subjects.h"

#include <fmt/format.h>

#include <bit>
#include <numeric>
#include <span>

#include "core/torch.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/image_store.h"
#include "data/statistics_file.h"
#include "data/store_writer.h"
#include "data/weights_file.h"
#include "jobs/bank_file.h"
#include "jobs/evaluation_file.h"
#include "jobs/sample_state.h"
#include "jobs/snapshot.h"
#include "launch/sample_records.h"

namespace langrun::mutations {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kImages = 24, kRows = 9, kLatent = 3, kFeatures = 4, kCall = 2;
const ImageShape kShape{3, 8, 8};

template <typename T>
void add(std::string& text, std::span<const T> values) {
  text.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

void write_store(const fs::path& path, int writers) {
  const StoreTarget target(path, writers);
  target.prepare();
  StoreTarget::Contents contents;
  contents.shape = kShape;
  contents.classes = {"cat", "dog", "frog"};
  contents.record.source = "pictures";
  contents.record.crop = "center";
  std::vector<std::uint8_t> image(static_cast<std::size_t>(kShape.elements()));
  for (int w = 0; w < writers; ++w) {
    ShardWriter writer(target.shard_path(w), kImages / static_cast<std::uint64_t>(writers));
    for (std::uint64_t row = 0; row < kImages / static_cast<std::uint64_t>(writers); ++row) {
      std::iota(image.begin(), image.end(), static_cast<std::uint8_t>(row * 11 + static_cast<std::uint64_t>(w)));
      writer.put(row, kShape, image);
    }
    contents.rows.push_back(writer.finish().size());
  }
  for (std::int64_t i = 0; i < kImages; ++i) contents.labels.push_back(i % 3);
  target.publish(contents);
}

std::string store_content(const fs::path& path) {
  const auto store = ImageStore::open(path);
  const auto& record = store.record();
  auto text = fmt::format("{} {} {} {} {} {} {} {}", store.count(), store.shape().channels, store.shape().height,
                          store.shape().width, record.source, record.crop, record.seed, record.skipped);
  for (const auto& name : store.classes()) text += "," + name;
  std::vector<std::uint64_t> all(store.count());
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::uint8_t> images(all.size() * store.image_bytes());
  store.read(all, images);
  std::vector<std::int64_t> labels(all.size());
  store.read_labels(all, labels);
  add<std::uint8_t>(text, images);
  add<std::int64_t>(text, labels);
  for (const auto& [name, value] : making_of(path))
    std::visit([&, &at = name](const auto& held) { text += fmt::format(" {}={}", at, held); }, value);
  return text;
}

std::vector<WeightsPart> some_weights() {
  std::vector<WeightsPart> parts(2);
  parts[0].part = "energy";
  parts[0].facts = {{"network", "light"}, {"width", "4"}};
  parts[0].arrays.emplace_back("f.0.weight", ArrayShape{4, 3, 3}, std::vector<float>(36, 0.25f));
  parts[0].arrays.emplace_back("f.0.bias", ArrayShape{4}, std::vector<float>{1, 2, 3, 4});
  parts[1].part = "energy_average";
  parts[1].facts = {{"network", "light"}};
  parts[1].arrays.emplace_back("scale", ArrayShape{}, std::vector<float>{0.5f});
  return parts;
}

std::string weights_content(const fs::path& path) {
  const WeightsFile file(path);
  std::string text;
  for (const auto& part : file.parts()) {
    text += "/" + part;
    for (const auto& [key, value] : file.facts(part)) text += fmt::format(" {}={}", key, value);
    for (const auto& array : file.read(part)) {
      text += fmt::format(" {} {}", array.name, to_text(array.shape));
      add<float>(text, array.data());
    }
  }
  return text;
}

StoredStatistics some_statistics() {
  StoredStatistics s;
  s.images = {"set.h5",
              kImages,
              3,
              8,
              8,
              kImages,
              "random",
              5,
              100,
              1,
              {{"source", std::string("pictures")}, {"seed", std::int64_t{3}}, {"eta", 0.5}}};
  s.net = {"resnet20", "net.h5", "0123456789abcdef", "-1:1", kFeatures, 32, 32};
  s.mean = {1, 2, 3, 4};
  s.scatter.resize(kFeatures * kFeatures);
  std::iota(s.scatter.begin(), s.scatter.end(), 0.5);
  return s;
}

std::string statistics_content(const fs::path& path) {
  if (!is_statistics_file(path)) throw Error(ExitCode::input, "is no file of statistics");
  const auto s = read_statistics_file(path);
  const auto &i = s.images, &n = std::as_const(i);
  auto text = fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", i.path, i.images, i.channels, i.height,
                          i.width, i.count, i.choice, i.seed, i.block, n.threads, s.net.network, s.net.file,
                          s.net.checksum, s.net.range, s.net.input_height, s.net.input_width);
  add<double>(text, s.mean);
  add<double>(text, s.scatter);
  for (const auto& [name, value] : i.attributes)
    std::visit([&, &at = name](const auto& held) { text += fmt::format(" {}={}", at, held); }, value);
  return text;
}

std::vector<ImageRecord> some_records() {
  std::vector<ImageRecord> records(3);
  for (std::size_t i = 0; i < records.size(); ++i) {
    auto& record = records[i];
    record.index = 4 + i;
    record.label = static_cast<std::int64_t>(i);
    record.image_steps = 90;
    for (const auto purpose : {Purpose::natural, Purpose::judge}) {
      JudgeCheck check;
      check.purpose = purpose;
      check.step = purpose == Purpose::judge ? 1 : 0;
      check.label = static_cast<std::int32_t>(i);
      check.votes = {0, 1, 2};
      check.logits = {1, 2, 3, 4, 5, 6, 7, 8, 9};
      record.judge.push_back(check);
    }
    SmallCheck small;
    small.loss = 0.5f;
    small.cosine = 0.75f;
    record.small = {small, small};
  }
  return records;
}

std::string records_content(const fs::path& path) {
  const auto file = read_evaluation(path);
  std::string text;
  for (const auto& record : file.records) add<std::byte>(text, packed(record));
  for (const auto& name : file.classes) text += "," + name;
  return text;
}

void write_checkpoint(const fs::path& folder) {
  fs::create_directories(folder);
  auto lane = BankLane::make(kRows, kShape, kLatent);
  lane.images.copy_(torch::arange(lane.images.numel()).view_as(lane.images));
  lane.latents.copy_(torch::arange(lane.latents.numel()).view_as(lane.latents));
  std::iota(lane.updates.begin(), lane.updates.end(), 1);
  std::iota(lane.visits.begin(), lane.visits.end(), 5);
  Manifest manifest{5, 1, 1, 0, {}, "steps = 5\n", {}};
  manifest.files = StateSnapshot(some_weights(), {lane}, 0, 1).write(folder, {});
  write_manifest(folder, manifest);
}

/// As a resume does: what the manifest lists is checked before HDF5 opens anything.
void check_manifest(const fs::path& folder) {
  if (const auto problems = problems_of(folder); !problems.empty()) throw Error(ExitCode::input, problems.front());
}

std::string bank_content(const fs::path& folder) {
  check_manifest(folder);
  const auto lane = read_bank_lane(folder, 0, 1, kRows, kShape, kLatent);
  std::string text;
  add(text, std::span<const float>(lane.images.const_data_ptr<float>(), static_cast<std::size_t>(lane.images.numel())));
  add(text,
      std::span<const float>(lane.latents.const_data_ptr<float>(), static_cast<std::size_t>(lane.latents.numel())));
  add<std::int64_t>(text, lane.updates);
  add<std::int64_t>(text, lane.visits);
  return text;
}

BlockState some_chains() {
  BlockState state;
  state.number = 1;
  state.step = 20;
  const auto values = static_cast<std::size_t>(kCall * kShape.elements());
  for (std::size_t i = 0; i < values; ++i) state.chains.push_back(0.5f * static_cast<float>(i));
  state.latents = {1, 2, 3, 4, 5, 6};
  state.magnitudes = {0.25, 0.75};
  state.columns = {{{1, 2}, {3, 4}, {5, 6}}, {{7, 8}, {9, 10}, {11, 12}}};
  return state;
}

/// A sampling's own state that is damaged is storage (6) to who goes on from it; here both are a refusal.
template <typename Read>
auto refused_as_input(const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    if (error.code() != ExitCode::storage) throw;
    throw Error(ExitCode::input, error.what(), error.hint());
  }
}

std::string block_content(const fs::path& folder) {
  const auto state = refused_as_input([&] { return read_block(folder, 1, kCall, kShape); });
  auto text = fmt::format("{} {}", state.number, state.step);
  add<float>(text, state.chains);
  add<float>(text, state.latents);
  add<double>(text, state.magnitudes);
  for (const auto& column : state.columns)
    for (const auto* values : {&column.energy, &column.magnitude, &column.residual}) add<float>(text, *values);
  return text;
}

/// Two listed steps of a sampling: their stores, and the table that says that they are there.
void write_sampling(const fs::path& run) {
  SampleConfig config;
  const auto records = launch::make_sample_records(run, config);
  records->begin(kCall, kShape);
  ChainTable table;
  table.chains = kCall;
  for (const std::int64_t step : {0, 10}) {
    records->add(step, 0, std::vector<std::uint8_t>(static_cast<std::size_t>(kCall * kShape.elements()), 99));
    table.steps.push_back(step);
    table.energy = table.magnitude = std::vector<float>(static_cast<std::size_t>(kCall) * table.steps.size(), 0.5f);
    records->finish(step, table);
  }
}

std::string sampling_content(const fs::path& run) {
  std::string text;
  add<std::int64_t>(text, refused_as_input([&] { return launch::finished_steps(run); }));
  return text;
}

Subject subject(const std::string& name, const fs::path& made, const std::string& file, std::vector<std::string> beside,
                std::function<std::string(const fs::path&)> content) {
  Subject made_subject{name, read_text(made / file), file, {}, std::move(content)};
  made_subject.surround = [made, beside = std::move(beside)](const fs::path& folder) {
    for (const auto& each : beside) {
      fs::create_directories((folder / each).parent_path());
      fs::copy_file(made / each, folder / each, fs::copy_options::overwrite_existing);
    }
  };
  return made_subject;
}

}  // namespace

std::vector<Subject> make_subjects(const fs::path& scratch) {
  write_store(scratch / "store.h5", 1);
  write_store(scratch / "shards.h5", 2);
  write_weights_file(scratch / "weights.h5", some_weights());
  write_statistics_file(scratch / "statistics.h5", some_statistics());
  write_evaluation(scratch / "records.h5", some_records(), {.steps = 1, .restarts = 1, .classes = 3},
                   {"seed = 1\n", {"cat", "dog", "frog"}, kShape, scratch / "store.h5"});
  const std::string step = checkpoint_name(5), shard = "shards.h5.d/shard-0000", manifest = step + "/manifest.json";
  write_checkpoint(scratch / step);
  write_block(scratch, some_chains(), kShape);
  write_sampling(scratch);
  const std::vector<std::string> stores{launch::step_store({}, 0), launch::step_store({}, 10)};
  const auto at = [](const char* file, auto content) {
    return [=](const fs::path& folder) { return content(folder / file); };
  };
  const auto in_step = [step](auto content) { return [=](const fs::path& folder) { return content(folder / step); }; };
  const auto checkpoint_weights = [](const fs::path& folder) {
    check_manifest(folder);
    return weights_content(folder / "weights.h5");
  };
  return {
      subject("store", scratch, "store.h5", {}, at("store.h5", store_content)),
      subject("shard", scratch, shard + "1.h5", {"shards.h5", shard + "0.h5"}, at("shards.h5", store_content)),
      subject("index of shards", scratch, "shards.h5", {shard + "0.h5", shard + "1.h5"},
              at("shards.h5", store_content)),
      subject("weights", scratch, "weights.h5", {}, at("weights.h5", weights_content)),
      subject("statistics", scratch, "statistics.h5", {}, at("statistics.h5", statistics_content)),
      subject("records", scratch, "records.h5", {}, at("records.h5", records_content)),
      subject("bank in a checkpoint", scratch, step + "/bank-0.h5", {manifest, step + "/weights.h5"},
              in_step(bank_content)),
      subject("weights in a checkpoint", scratch, step + "/weights.h5", {manifest, step + "/bank-0.h5"},
              in_step(checkpoint_weights)),
      subject("block of chains", scratch, block_file({}, 1).string(), {}, block_content),
      subject("table of chains", scratch, "chains.h5", stores, sampling_content),
  };
}

}  // namespace langrun::mutations
