#include <fmt/format.h>

#include <vector>

#include "core/error.h"
#include "core/torch.h"
#include "data/hdf5.h"
#include "distributed/lanes.h"
#include "jobs/bank_file.h"
#include "jobs/finite_source.h"

namespace langrun {
namespace {

std::string chosen_group(const h5::File& file, const std::string& asked) {
  std::vector<std::string> names{asked};
  if (asked == "auto") names = {"bank", "update", "burn_in"};
  for (const auto& name : names)
    if (file.has("/" + name + "/images")) return name;
  throw Error(ExitCode::input,
              fmt::format("{} has no group '{}' of chains", file.path().string(), asked == "auto" ? "bank" : asked),
              "--source.group names the bank: bank, or update and burn_in of a longrun");
}

class BankSource final : public FiniteSource {
 public:
  BankSource(const std::filesystem::path& folder, const std::string& group, const ImageShape& image)
      : image_(image), folder_(folder.string()) {
    const auto first = open(0);
    group_ = chosen_group(first, group);
    lanes_.count = first.read_int_attribute("/" + group_, "lanes");
    for (std::int64_t lane = 0; lane < lanes_.count; ++lane) add(lane == 0 ? first : open(lane), lane);
    for (std::int64_t lane = 0; lane < lanes_.count; ++lane)
      if (rows_of(lane) != lanes_.rows(lane, count_))
        throw Error(ExitCode::input,
                    fmt::format("{}: lane {} has {} chains, expected {} of {}", folder_, lane, rows_of(lane),
                                lanes_.rows(lane, count_), count_),
                    "the checkpoint was put together by hand; use another one");
  }

  std::int64_t count() const override { return count_; }

  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t, NoiseKey) override {
    auto images = torch::empty({std::ssize(slots), image_.channels, image_.height, image_.width});
    auto* values = images.mutable_data_ptr<float>();
    for (const auto each : slots) {
      const auto slot = static_cast<std::int64_t>(each) % count_;
      images_[static_cast<std::size_t>(slot % lanes_.count)].read_rows(static_cast<std::uint64_t>(slot / lanes_.count),
                                                                       1, values);
      values += image_.elements();
    }
    return {images, torch::empty({std::ssize(slots), 0})};
  }

  std::string description() const override { return fmt::format("{} of {}", group_, folder_); }

 private:
  h5::File open(std::int64_t lane) const {
    return h5::File::open(std::filesystem::path(folder_) / bank_file_name(lane));
  }

  std::int64_t rows_of(std::int64_t lane) const {
    return static_cast<std::int64_t>(images_[static_cast<std::size_t>(lane)].shape()[0]);
  }

  void add(const h5::File& file, std::int64_t lane) {
    auto images = file.dataset("/" + group_ + "/images");
    const auto& shape = images.shape();
    const h5::Shape expected{shape.empty() ? 0 : shape[0], static_cast<std::uint64_t>(image_.channels),
                             static_cast<std::uint64_t>(image_.height), static_cast<std::uint64_t>(image_.width)};
    if (shape != expected || images.type() != h5::Type::f32)
      throw Error(
          ExitCode::input,
          fmt::format("{}: its chains are {} {}, the energy takes {}x{}x{} images", file.path().string(),
                      h5::name_of(images.type()), h5::to_text(shape), image_.channels, image_.height, image_.width),
          "choose a bank and an energy of one size");
    count_ += static_cast<std::int64_t>(shape[0]);
    images_.push_back(std::move(images));
  }

  ImageShape image_;
  std::string folder_, group_;
  Lanes lanes_{1, 0, 1};
  std::int64_t count_ = 0;
  std::vector<h5::Dataset> images_;  // by lane
};

}  // namespace

std::unique_ptr<FiniteSource> make_bank_source(const std::filesystem::path& checkpoint, const std::string& group,
                                               const ImageShape& image) {
  return std::make_unique<BankSource>(checkpoint, group, image);
}

}  // namespace langrun
