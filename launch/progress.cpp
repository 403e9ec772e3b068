#include "launch/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "distributed/communicator.h"

namespace langrun::launch {
namespace {

constexpr double kTerminalInterval = 0.1;  // seconds
constexpr double kLogInterval = 10.0, kLogIntervalOfLongRuns = 60.0;
constexpr int kMemoryOfSteps = 50;  // over which the time of a step is averaged

/// Columns of the terminal; a pseudo-terminal of mpirun knows none and says 0.
std::size_t columns_of(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* variable = std::getenv("COLUMNS");
  const int columns = variable == nullptr ? 0 : std::atoi(variable);
  return columns > 0 ? static_cast<std::size_t>(columns) : 80;
}

bool launcher_writes_to_terminal() {
  std::error_code failed;
  const auto target = std::filesystem::read_symlink(fmt::format("/proc/{}/fd/1", ::getppid()), failed);
  return !failed && (target.string().starts_with("/dev/pts/") || target.string().starts_with("/dev/tty"));
}

std::string rate_text(double rate) {
  if (rate >= 1e6) return fmt::format("{:.2f}M", rate / 1e6);
  if (rate >= 1e5) return fmt::format("{:.0f}k", rate / 1e3);
  if (rate >= 1e4) return fmt::format("{:.1f}k", rate / 1e3);
  return fmt::format("{:.0f}", rate);
}

std::string quantities_text(const StepRecord& record) {
  if (record.loss && record.accuracy) return fmt::format("loss {:.4f} | accuracy {:.3f}", *record.loss, *record.accuracy);
  if (record.loss) return fmt::format("loss {:.4f}", *record.loss);
  return fmt::format("energy difference {:+.4f} | gradient {:.4f}", record.energy_difference.value_or(0),
                     record.gradient_magnitude.value_or(0));
}

std::string brief_quantities_text(const StepRecord& record) {
  if (record.loss && record.accuracy) return fmt::format("loss {:.3f} acc {:.2f}", *record.loss, *record.accuracy);
  if (record.loss) return fmt::format("loss {:.3f}", *record.loss);
  return fmt::format("dU {:+.4f} |g| {:.3f}", record.energy_difference.value_or(0),
                     record.gradient_magnitude.value_or(0));
}

}  // namespace

Screen screen_of(std::FILE* out) {
  const char* kind = std::getenv("TERM");
  if (::isatty(::fileno(out)) == 0 || kind == nullptr || std::string_view(kind) == "dumb") return Screen::log;
  return !started_by_mpi_launcher() || launcher_writes_to_terminal() ? Screen::terminal : Screen::log;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(seconds, 0.0));
  const auto days = whole / 86400, hours = whole / 3600 % 24, minutes = whole / 60 % 60;
  if (days > 0) return fmt::format("{}d {:02}:{:02}:{:02}", days, hours, minutes, whole % 60);
  return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
}

double Progress::steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(std::FILE* out, Screen screen, std::int64_t finished, std::int64_t total,
                   std::function<double()> clock)
    : out_(out), screen_(screen), first_(finished), total_(total), clock_(std::move(clock)), start_(clock_()),
      step_time_(start_) {}

void Progress::update(const StepRecord& record) {
  const double now = clock_();
  const auto steps = record.step - first_;
  // A plain mean at first, so that the estimate is good early; later it follows what the machine does now.
  const double weight = 1.0 / static_cast<double>(std::clamp<std::int64_t>(steps, 1, kMemoryOfSteps));
  seconds_per_step_ += weight * ((now - step_time_) - seconds_per_step_);
  step_time_ = now;
  latest_ = record;
  if (due(record.step, now)) show(now);
}

bool Progress::due(std::int64_t step, double now) const {
  if (shown_step_ < 0 || step >= total_) return true;
  const double since = now - shown_time_;
  if (screen_ == Screen::terminal) return since >= kTerminalInterval;
  // Twenty lines for a short run; a long one is not to fill its log.
  if (step * 20 / total_ > shown_step_ * 20 / total_) return true;
  return since >= std::clamp((now - start_) / 60, kLogInterval, kLogIntervalOfLongRuns);
}

std::string Progress::line(double now) const {
  const auto step = fmt::format("step {:>{}}/{}", latest_.step, fmt::formatted_size("{}", total_), total_);
  const double left = seconds_per_step_ * static_cast<double>(std::max<std::int64_t>(total_ - latest_.step, 0));
  const auto elapsed = clock_text(now - start_), remaining = clock_text(left);
  const auto speed = rate_text(latest_.image_steps_per_second);
  const auto full = fmt::format("{} | {} | {} {}/s | {} gone, {} left", step, quantities_text(latest_), speed,
                                latest_.loss ? "images" : "image-steps", elapsed, remaining);
  if (screen_ == Screen::log) return full;
  // A line that wraps cannot be rewritten in place, so a narrow terminal gets a short one.
  const auto columns = columns_of(out_);
  if (full.size() < columns) return full;
  const auto brief = fmt::format("{} {} {} {}/s, {} left", step, brief_quantities_text(latest_), speed,
                                 latest_.loss ? "images" : "img-steps", remaining);
  return brief.substr(0, columns - 1);
}

void Progress::show(double now) {
  const auto text = line(now);
  if (screen_ == Screen::terminal)
    fmt::print(out_, "\r{}\x1b[K", text);
  else
    fmt::print(out_, "{}\n", text);
  std::fflush(out_);
  open_ = screen_ == Screen::terminal;
  shown_step_ = latest_.step;
  shown_time_ = now;
}

void Progress::note(const std::string& text) {
  fmt::print(out_, "{}{}{}\n", open_ ? "\r" : "", text, open_ ? "\x1b[K" : "");
  std::fflush(out_);
  open_ = false;
  if (screen_ == Screen::terminal && shown_step_ >= 0) show(clock_());
}

void Progress::finish() {
  if (latest_.step > 0 && latest_.step != shown_step_) show(clock_());
  if (open_) std::fputs("\n", out_);
  std::fflush(out_);
  open_ = false;
}

}  // namespace langrun::launch
