#include "jobs/build_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/error.h"
#include "distributed/agreement.h"

namespace langrun {
namespace {

using Json = nlohmann::json;

/// One build under way; its steps are collective and stand in the order in which they are called.
class Build {
 public:
  Build(Communicator& world, const BuildPlan& plan, const BuildNotes& notes)
      : world_(world), plan_(plan), notes_(notes), target_(plan.out, world.size()) {}

  BuildResult run() {
    agree(world_, "prepare store", [&] {
      if (world_.rank() == 0) target_.prepare();
    });
    try {
      writer_.emplace(target_.shard_path(world_.rank()), plan_.own_last - plan_.own_first, plan_.pixels);
      while (!round()) {
      }
      return complete();
    } catch (const Error& error) {
      // Errors are agreed, so all ranks are here, except where a rank is lost: then nobody is waited for.
      writer_.reset();
      if (error.code() != ExitCode::rank) world_.barrier("store given up");
      if (world_.rank() == 0) target_.discard();
      throw;
    }
  }

 private:
  bool round();
  bool take_reports(const std::vector<std::vector<std::byte>>& reports);
  BuildResult complete();
  std::vector<std::int64_t> labels() const;

  Communicator& world_;
  const BuildPlan& plan_;
  const BuildNotes& notes_;
  StoreTarget target_;
  std::optional<ShardWriter> writer_;
  std::set<std::uint64_t> left_out_;
  std::int64_t damaged_ = 0;
  std::uint64_t done_ = 0;
  std::optional<ImageShape> shape_;
  std::string first_image_;
};

std::vector<std::byte> pack(const BuildRound& round, const std::optional<ImageShape>& shape) {
  Json json{
      {"finished", round.finished}, {"done", round.done}, {"left_out", round.left_out}, {"damaged", round.damaged}};
  if (shape) {
    json["shape"] = {shape->channels, shape->height, shape->width};
    json["first"] = round.first_image;
  }
  // File names are bytes and need not be UTF-8.
  const auto text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// One piece of work on every rank, then what came of it. True once all have finished.
bool Build::round() {
  BuildRound own;
  agree(world_, "make images", [&] { own = plan_.produce(*writer_); });
  return take_reports(world_.gather_all("report images", pack(own, writer_->shape())));
}

bool Build::take_reports(const std::vector<std::vector<std::byte>>& reports) {
  bool finished = true;
  for (const auto& bytes : reports) {
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    const auto json = Json::parse(text, text + bytes.size());
    finished = finished && json["finished"].get<bool>();
    done_ += json["done"].get<std::uint64_t>();
    for (const auto& row : json["left_out"]) left_out_.insert(row.get<std::uint64_t>());
    for (const auto& what : json["damaged"]) {
      ++damaged_;
      if (world_.rank() == 0 && notes_.warn) notes_.warn(what.get<std::string>() + "; left out");
    }
    if (!json.contains("shape")) continue;
    const ImageShape shape{json["shape"][0], json["shape"][1], json["shape"][2]};
    const auto name = json["first"].get<std::string>();
    if (!shape_) {
      shape_ = shape;
      first_image_ = name;
    }
    // All ranks read the same reports, so all of them throw.
    if (shape != *shape_)
      throw Error(ExitCode::input,
                  fmt::format("{}: {} x {} pixels, but {} has {} x {}", name, shape.height, shape.width, first_image_,
                              shape_->height, shape_->width),
                  "--size S brings all images to one size");
  }
  if (world_.rank() == 0 && notes_.progress) notes_.progress(done_, plan_.rows);
  return finished;
}

std::vector<std::int64_t> Build::labels() const {
  std::vector<std::int64_t> all;
  all.reserve(plan_.rows - left_out_.size());
  for (std::uint64_t row = 0; row < plan_.rows; ++row)
    if (!left_out_.contains(row)) all.push_back(plan_.label(row));
  return all;
}

BuildResult Build::complete() {
  const auto images = plan_.rows - left_out_.size();
  if (images == 0)
    throw Error(ExitCode::input, fmt::format("{}: all {} images are damaged", plan_.record.source, plan_.rows),
                "the store would be empty");
  std::int64_t rows = 0;
  agree(world_, "finish shards", [&] { rows = static_cast<std::int64_t>(writer_->finish().size()); });
  std::vector<std::int64_t> by_rank(static_cast<std::size_t>(world_.size()), 0);
  by_rank[static_cast<std::size_t>(world_.rank())] = rows;
  world_.maximum("rows of shards", by_rank);
  auto record = plan_.record;
  record.skipped += damaged_;
  if (plan_.complete_record) plan_.complete_record(record);
  agree(world_, "publish store", [&] {
    if (world_.rank() != 0) return;
    target_.publish({*shape_, {by_rank.begin(), by_rank.end()}, labels(), plan_.classes, record, plan_.pixels});
  });
  return {images, *shape_, record.skipped};
}

}  // namespace

std::uint64_t share_begin(std::uint64_t count, int rank, int ranks) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(count) * static_cast<unsigned>(rank) /
                                    static_cast<unsigned>(ranks));
}

BuildResult build_store(Communicator& world, const BuildPlan& plan, const BuildNotes& notes) {
  return Build(world, plan, notes).run();
}

}  // namespace langrun
