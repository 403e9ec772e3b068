#include "data/bank_deal.h"

#include <fmt/format.h>

#include "core/error.h"
#include "data/hdf5.h"
#include "data/streamed_file.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMemory = std::size_t{8} << 20;  // bytes, of the pieces on their way to the disk

fs::path bank_file(const fs::path& folder, std::int64_t lane) { return folder / fmt::format("bank-{}.h5", lane); }

/// One dataset over all lanes, row by row in the order of slots.
class SlotRows {
 public:
  SlotRows(const std::vector<h5::File>& lanes, const std::string& name) {
    for (const auto& file : lanes) {
      lanes_.push_back(file.dataset(name));
      slots_ += rows_of(lanes_.back());
    }
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane)
      if (rows_of(lanes_[lane]) != rows_in(lane, lanes_.size()) || row_shape(lanes_[lane]) != row_shape(lanes_[0]))
        throw Error(ExitCode::input,
                    fmt::format("{} in {} does not go with the other lanes: it is {}", name,
                                lanes[lane].path().string(), h5::to_text(lanes_[lane].shape())),
                    "the checkpoint was put together by hand; use another one");
  }

  h5::Type type() const { return lanes_[0].type(); }
  std::uint64_t rows_in(std::uint64_t lane, std::uint64_t lanes) const {
    return slots_ / lanes + (lane < slots_ % lanes);
  }
  h5::Shape shape_in(std::uint64_t lane, std::uint64_t lanes) const {
    auto shape = row_shape(lanes_[0]);
    shape.insert(shape.begin(), rows_in(lane, lanes));
    return shape;
  }

  /// Rows [first, first + count) of one of `lanes` lanes.
  RowSource source(std::uint64_t lane, std::uint64_t lanes) const {
    return [this, lane, lanes](std::uint64_t first, std::uint64_t count, std::byte* out) {
      const auto bytes = h5::elements(row_shape(lanes_[0])) * h5::bytes_of(type());
      for (std::uint64_t row = first; row < first + count; ++row, out += bytes) {
        const auto slot = lane + lanes * row;
        lanes_[slot % lanes_.size()].read_stored_rows(slot / lanes_.size(), 1, out);
      }
    };
  }

 private:
  static std::uint64_t rows_of(const h5::Dataset& dataset) { return dataset.shape().empty() ? 0 : dataset.shape()[0]; }
  static h5::Shape row_shape(const h5::Dataset& dataset) {
    return dataset.shape().empty() ? h5::Shape{} : h5::Shape(dataset.shape().begin() + 1, dataset.shape().end());
  }

  std::vector<h5::Dataset> lanes_;
  std::uint64_t slots_ = 0;
};

void check_lane(const h5::File& file, const std::string& group, std::int64_t lane, std::int64_t lanes) {
  const auto held = file.read_int_attribute(group, "lane"), of = file.read_int_attribute(group, "lanes");
  if (held != lane || of != lanes)
    throw Error(ExitCode::input, fmt::format("{} holds lane {} of {}, expected is lane {} of {}", file.path().string(),
                                             held, of, lane, lanes));
}

CheckpointFile write_lane(const std::vector<h5::File>& from, const fs::path& to, std::int64_t lane,
                          std::int64_t lanes) {
  StreamedFile file(bank_file(to, lane));
  std::vector<std::unique_ptr<SlotRows>> rows;  // what the sources read from until the file is written
  for (const auto& group : from[0].children("/")) {
    const auto root = "/" + group;
    for (std::size_t old = 0; old < from.size(); ++old)
      check_lane(from[old], root, static_cast<std::int64_t>(old), static_cast<std::int64_t>(from.size()));
    file.create_group(root);
    file.write_attribute(root, "lane", lane);
    file.write_attribute(root, "lanes", lanes);
    for (const auto& name : from[0].children(root)) {
      rows.push_back(std::make_unique<SlotRows>(from, root + "/" + name));
      const auto at = static_cast<std::uint64_t>(lane), of = static_cast<std::uint64_t>(lanes);
      file.add(root + "/" + name, rows.back()->type(), rows.back()->shape_in(at, of), rows.back()->source(at, of));
    }
  }
  const auto written = file.write(kMemory).value();
  return {bank_file(to, lane).filename().string(), written.bytes, written.checksum};
}

}  // namespace

std::vector<CheckpointFile> deal_banks(const fs::path& from, std::int64_t lanes, const fs::path& to,
                                       std::int64_t to_lanes) {
  std::vector<CheckpointFile> written;
  if (!fs::exists(bank_file(from, 0))) return written;
  std::vector<h5::File> files;
  for (std::int64_t lane = 0; lane < lanes; ++lane) files.push_back(h5::File::open(bank_file(from, lane)));
  for (std::int64_t lane = 0; lane < to_lanes; ++lane) written.push_back(write_lane(files, to, lane, to_lanes));
  return written;
}

}  // namespace langrun
