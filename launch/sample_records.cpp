#include "launch/sample_records.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "core/error.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "data/image_store.h"
#include "launch/sample_picture.h"
#include "launch/sample_store.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class SampleRecords final : public SampleObserver {
 public:
  SampleRecords(const fs::path& run, const SampleConfig& config) : run_(run), config_(config) {
    if (config_.source.empty()) config_.source = "run";
  }

  void begin(std::int64_t chains, const ImageShape& image) override {
    config_.count = chains;
    image_ = image;
  }

  void add(std::int64_t step, std::int64_t first, const std::vector<std::uint8_t>& images) override {
    if (!store_) {
      config_.langevin.steps = step;
      store_.emplace(config_, step_store(run_, step));
      shown_.clear();
    }
    store_->add(first, image_, images);
    show_more(shown_, images, pictured_bytes(image_));
  }

  void finish(std::int64_t step, const ChainTable& table) override {
    store_->finish();
    store_.reset();
    make_folder(run_ / "samples");
    draw_samples(config_, image_, shown_, run_ / "samples" / fmt::format("{:09}.png", step));
    write_chains(table);
    fmt::print("step {}: {} chains\n", step, table.chains);
    std::fflush(stdout);
  }

  void progress(std::int64_t step, std::int64_t to, std::int64_t block, std::int64_t blocks) override {
    if (Clock::now() < next_line_) return;
    next_line_ = Clock::now() + std::chrono::seconds(10);
    fmt::print(stderr, "sample: step {} of {}, block {} of {}\n", step, to, block + 1, blocks);
  }

 private:
  void write_chains(const ChainTable& table) {
    const auto path = run_ / "chains.h5", partial = run_ / "chains.h5.partial";
    std::error_code ignored;
    fs::remove(partial, ignored);
    auto file = h5::File::create(partial);
    const auto n = static_cast<std::uint64_t>(table.chains), s = static_cast<std::uint64_t>(table.steps.size());
    file.write("/steps", {s}, table.steps.data());
    file.write("/energy", {n, s}, table.energy.data());
    file.write("/gradient_magnitude", {n, s}, table.magnitude.data());
    if (!table.residual.empty()) file.write("/residual", {n, s}, table.residual.data());
    file.write_attribute("/", "weights", config_.weights);
    file.write_attribute("/", "source", config_.source);
    file.write_attribute("/", "seed", config_.seed);
    file.seal();
    sync_path(partial);
    rename_durably(partial, path);
  }

  fs::path run_;
  SampleConfig config_;
  ImageShape image_;
  std::optional<SampleStore> store_;
  std::vector<std::uint8_t> shown_;
  Clock::time_point next_line_ = Clock::now() + std::chrono::seconds(10);
};

}  // namespace

fs::path step_store(const fs::path& run, std::int64_t step) { return run / fmt::format("step-{:09}.h5", step); }

std::vector<std::int64_t> finished_steps(const fs::path& run) {
  if (!fs::exists(run / "chains.h5")) return {};
  try {
    auto steps = h5::File::open(run / "chains.h5").dataset("/steps").read<std::int64_t>();
    for (std::size_t i = 0; i < steps.size(); ++i)
      if (!fs::exists(step_store(run, steps[i])))
        throw Error(ExitCode::input, fmt::format("{} is gone", step_store(run, steps[i]).string()));
    return steps;
  } catch (const Error& error) {
    throw Error(ExitCode::storage, error.what(), "this sampling cannot go on; begin it anew in another folder");
  }
}

void check_step_stores(const fs::path& run, const std::vector<std::int64_t>& steps) {
  for (const auto step : steps) {
    const auto path = step_store(run, step);
    try {
      ImageStore::open(path, Accept::any_type).check_images();
    } catch (const Error& error) {
      throw Error(ExitCode::storage, fmt::format("finished step {} cannot be relied on: {}", step, error.what()),
                  fmt::format("bring {} back from a copy, or begin the sampling anew in another folder",
                              path.filename().string()));
    }
  }
}

std::unique_ptr<SampleObserver> make_sample_records(const fs::path& run, const SampleConfig& config) {
  return std::make_unique<SampleRecords>(run, config);
}

}  // namespace langrun::launch
