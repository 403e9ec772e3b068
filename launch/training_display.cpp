#include "launch/training_display.h"

#include <fmt/format.h>

#include <optional>

#include "data/checkpoint.h"
#include "data/durable.h"
#include "launch/grid.h"
#include "launch/metrics.h"
#include "launch/progress.h"
#include "launch/tensorboard.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

class Display final : public TrainingObserver {
 public:
  Display(const fs::path& run, const GenerationFolder& home, std::int64_t steps)
      : run_(run), home_(home), steps_(steps) {
    open_metrics();
  }
  ~Display() override {
    if (progress_) progress_->finish();
  }

  void begin(std::int64_t finished_steps) override {
    events_.emplace(run_, finished_steps);
    progress_.emplace(stdout, screen_of(stdout), finished_steps, steps_);
  }

  void step(const StepRecord& record) override {
    metrics_->append(record);
    events_->record(record);
    progress_->update(record);
  }

  void pictures(std::int64_t step, const std::vector<langrun::Panel>& panels) override {
    std::vector<Panel> drawn;
    for (const auto& panel : panels)
      drawn.push_back(
          {panel.title, panel.pixels, panel.count, {panel.channels, panel.height, panel.width}, true, panel.marks});
    const auto picture = draw_grid(drawn);
    const auto png = encode_png(picture);
    write_durably(run_ / "samples" / (checkpoint_name(step) + ".png"), png);
    events_->image(step, "pictures", picture.width, picture.height, 3, png);
  }

  void settle(std::int64_t) override {
    metrics_->sync();
    // An older start that was cut off as it set itself up may have pointed it elsewhere meanwhile.
    if (is_there(home_)) link_generation(run_, kCheckpointHome, home_);
  }

  void notice(const std::string& text) override { progress_->note(text); }

  void rolled_back(std::int64_t step, std::int64_t attempt, const std::string& why) override {
    const auto aside = fmt::format("diverged-{}.jsonl", attempt);
    metrics_.reset();
    MetricsWriter::move_after(run_ / "metrics.jsonl", step, run_ / aside, home_);
    open_metrics();
    events_.emplace(run_, step);
    progress_->note(
        fmt::format("{}; back to step {}, attempt {} (what was measured since: {})", why, step, attempt, aside));
    progress_->finish();
    progress_.emplace(stdout, screen_of(stdout), step, steps_);
  }

 private:
  void open_metrics() { metrics_.emplace(run_ / "metrics.jsonl", ours()); }
  MetricsWriter::Ours ours() const {
    return [home = home_] { return is_there(home); };
  }

  fs::path run_;
  GenerationFolder home_;
  std::int64_t steps_;
  std::optional<MetricsWriter> metrics_;
  std::optional<EventsWriter> events_;
  std::optional<Progress> progress_;
};

class Silent final : public TrainingObserver {
 public:
  void begin(std::int64_t) override {}
  void step(const StepRecord&) override {}
  void pictures(std::int64_t, const std::vector<langrun::Panel>&) override {}
  void settle(std::int64_t) override {}
  void notice(const std::string&) override {}
  void rolled_back(std::int64_t, std::int64_t, const std::string&) override {}
};

}  // namespace

std::unique_ptr<TrainingObserver> make_training_display(const fs::path& run, const GenerationFolder& home,
                                                        std::int64_t steps) {
  return std::make_unique<Display>(run, home, steps);
}

std::unique_ptr<TrainingObserver> make_silent_display() { return std::make_unique<Silent>(); }

}  // namespace langrun::launch
