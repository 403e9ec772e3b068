#include "jobs/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>
#include <utility>

#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/checkpoint_writer.h"
#include "jobs/stop_clock.h"
#include "jobs/straggler_watch.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// What each rank tells the others at the end of a step, in one collective.
struct RankReport {
  double sample, update, exchange, checkpoint;
  std::int64_t stop;
  std::int64_t newest_generation;   ///< that rank 0 knows of
  CheckpointWriter::State writing;  ///< how far the checkpoint in the background is
};

/// Of a checkpoint in the background, as all ranks know it.
enum class Written { not_yet, everywhere, failed };

class Loop {
 public:
  Loop(TrainingJob& job, const TrainingConfig& config, const TrainingStart& start, Communicator& world,
       TrainingObserver& observer)
      : job_(job), config_(config), start_(start), world_(world), observer_(observer) {}

  ExitCode run() {
    begin(start_.from_step, std::nullopt);
    if (world_.rank() == 0) observer_.begin(start_.from_step);
    // A start that goes on from where it was to stop has nothing to do.
    if (config_.stop_at > 0 && start_.from_step >= config_.stop_at && start_.from_step < config_.steps)
      return ExitCode::stopped;
    step_ended_ = Clock::now();
    for (std::int64_t step = start_.from_step + 1; step <= config_.steps; ++step) {
      bool stop = false;
      world_.enter(fmt::format("step {}", step));
      try {
        stop = train_step(step);
      } catch (const Error& error) {
        if (error.code() != ExitCode::diverged) throw;
        step = roll_back(step, error);
        continue;
      }
      const bool last = step == config_.steps;
      if (stop && !last) return ExitCode::stopped;
      if (last || (config_.pictures_every > 0 && step % config_.pictures_every == 0)) show(step);
    }
    // Cut off between its last checkpoint and its last pictures, a run still owes them.
    if (start_.from_step >= config_.steps) show(start_.from_step);
    return ExitCode::done;
  }

 private:
  // The state of a checkpoint, or of nothing where `step` is 0; as a new attempt where one is given.
  void begin(std::int64_t step, std::optional<std::int64_t> attempt) {
    world_.enter(step > 0 ? fmt::format("loading step {}", step) : "start");
    agree(world_, step > 0 ? "load checkpoint" : "start", [&] {
      if (step == 0) {
        job_.begin_attempt(attempt_ = attempt.value_or(0));
        job_.start();
        return;
      }
      const auto folder = start_.home.path / checkpoint_name(step);
      const auto manifest = read_manifest(folder);
      job_.begin_attempt(attempt_ = attempt.value_or(manifest.attempt));
      watch_.restore(manifest.watch);
      const auto begun = Clock::now();
      job_.load(folder);
      // Until this start has written one: reading takes about as long as writing does.
      stop_clock_.saw_save(seconds_since(begun));
    });
  }

  // What to do with a run that diverged in `step`, on all ranks alike: the step to go on from, or the error again.
  std::int64_t roll_back(std::int64_t step, const Error& error) {
    const auto& rule = config_.divergence;
    const auto* known = dynamic_cast<const Diverged*>(&error);
    std::string why = error.what();
    if (known == nullptr) why += fmt::format(", at step {}", step);
    if (rule.action != "rollback") throw Error(error.code(), why, error.hint());
    if (attempt_ >= rule.limit)
      throw Error(error.code(), fmt::format("{}; the run was rolled back {} times before", why, attempt_),
                  "begin a new run with a smaller --energy.learning-rate, or allow more with --divergence.limit");
    const auto first_bad = known != nullptr ? known->first_step() : step;
    const auto target = std::stoll(on_root(world_, "roll back", [&] {
      refuse_if_overtaken(newest_generation());
      const auto found = checkpoint_before(first_bad);
      if (!found)
        throw Error(error.code(), why + "; there is no checkpoint to go back to", "use a smaller --checkpoint.every");
      remove_meanwhile(return_to_checkpoint(start_.home.path, *found));
      // Again, since that took its time, and what follows is not in the home.
      refuse_if_overtaken(newest_generation());
      observer_.rolled_back(*found, attempt_ + 1, why);
      return std::to_string(*found);
    }));
    begin(target, attempt_ + 1);
    return target;
  }

  bool regular(std::int64_t step) const { return config_.checkpoint_every > 0 && step % config_.checkpoint_every == 0; }

  // The newest good one of before the trouble. One that a stop has left would not be there in a run that was not
  // stopped, which is to take the same course: such ones count only where there is no other; and where there is none of
  // before at all, the oldest.
  std::optional<std::int64_t> checkpoint_before(std::int64_t first_bad) const {
    std::optional<std::int64_t> of_a_stop, oldest;
    const auto steps = checkpoint_steps(start_.home.path);
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      if (!problems_of(start_.home.path / checkpoint_name(*step)).empty()) continue;
      if (*step < first_bad && regular(*step)) return *step;
      if (*step < first_bad && !of_a_stop) of_a_stop = *step;
      oldest = *step;
    }
    return of_a_stop ? of_a_stop : oldest;
  }

  // The checkpoint that a rollback would go back to, were the present suspicion to come true: retention spares it.
  std::int64_t spared(std::int64_t written) const {
    std::int64_t spared = 0;
    if (config_.divergence.action != "rollback") return spared;
    auto steps = checkpoint_steps(start_.home.path);
    steps.push_back(written);
    for (const auto step : steps)
      if (step < watch_then_.suspects_from(written) && regular(step)) spared = std::max(spared, step);
    return spared;
  }

  // One step, and the checkpoint it may owe. First the checkpoint, then pictures: who was asked to stop may not have
  // the time that pictures take. Returns whether to stop.
  bool train_step(std::int64_t step) {
    bool stop = false;
    try {
      auto record = job_.step(step);
      record.step = step;
      record.more.emplace_back("attempt", static_cast<double>(attempt_));
      stop = report(record);
      // First the record, then the verdict: a diverged step is worth seeing.
      if (world_.rank() == 0) observer_.step(record);
      watch_.see(record);
    } catch (const Error& error) {
      // Every rank is here, since divergence is seen by all alike: what was being written is still worth having.
      if (error.code() == ExitCode::diverged) keep_what_was_written();
      throw;
    }
    const bool ends = stop || step == config_.steps;
    const bool due = ends || regular(step) || (stop_clock_.wants_a_save() && !writer_.busy());
    if (writer_.busy() && (written_ != Written::not_yet || due)) checkpoint(step, [&] { finish_checkpoint(); });
    if (due) checkpoint(step, [&] { begin_checkpoint(step); });
    // Who ends here has nothing to do meanwhile.
    if (ends) checkpoint(step, [&] { finish_checkpoint(); });
    return stop;
  }

  // Timers over ranks, and whether any rank was asked to stop: a decision that all ranks take together, from the same
  // gathered words, since signals reach ranks unevenly.
  bool report(StepRecord& record) {
    stop_clock_.saw_step(seconds_since(std::exchange(step_ended_, Clock::now())));
    const bool asked =
        start_.stop_asked() || (config_.stop_at > 0 && record.step >= config_.stop_at) || stop_clock_.asks();
    const RankReport own{record.seconds_sample.avg,
                         record.seconds_update.avg,
                         record.seconds_exchange.avg,
                         record.seconds_checkpoint.avg + checkpoint_seconds_,
                         asked ? 1 : 0,
                         look_for_newer_start(),
                         writer_.state()};
    checkpoint_seconds_ = 0;
    const auto all = world_.gather_all("step report", std::as_bytes(std::span(&own, 1)));
    std::vector<RankReport> reports(all.size());
    for (std::size_t r = 0; r < all.size(); ++r) std::memcpy(&reports[r], all[r].data(), sizeof(RankReport));
    record.seconds_sample = spread(reports, &RankReport::sample);
    record.seconds_update = spread(reports, &RankReport::update);
    record.seconds_exchange = spread(reports, &RankReport::exchange);
    record.seconds_checkpoint = spread(reports, &RankReport::checkpoint);
    written_ = written_by(reports);
    refuse_if_overtaken(reports[0].newest_generation);
    name_stragglers(reports);
    if (record.seconds_sample.max > 0) record.image_steps_per_second /= record.seconds_sample.max;
    return std::any_of(reports.begin(), reports.end(), [](const auto& r) { return r.stop != 0; });
  }

  void name_stragglers(const std::vector<RankReport>& reports) {
    if (world_.rank() != 0) return;
    std::vector<StragglerWatch::Work> work;
    for (const auto& r : reports) work.push_back({r.sample, r.update});
    for (const auto& slow : stragglers_.see(work))
      observer_.notice(
          fmt::format("warning: rank {} on {} took {:.2f} times the ranks' median in each of the last {} "
                      "steps, most of it in {}; is its host shared, hot or ailing?",
                      slow.rank, start_.hosts.at(slow.rank), slow.factor, config_.straggler_steps, slow.phase));
  }

  // Taken by all ranks together from the same words, as the decision to stop is (design invariant 4): the thread that
  // writes calls no collectives.
  static Written written_by(const std::vector<RankReport>& reports) {
    const auto is = [](CheckpointWriter::State state) { return [state](const auto& r) { return r.writing == state; }; };
    if (std::any_of(reports.begin(), reports.end(), is(CheckpointWriter::State::failed))) return Written::failed;
    const bool all = std::all_of(reports.begin(), reports.end(), is(CheckpointWriter::State::written));
    return all ? Written::everywhere : Written::not_yet;
  }

  static Spread spread(const std::vector<RankReport>& reports, double RankReport::*timer) {
    Spread result{reports[0].*timer, 0, reports[0].*timer};
    for (const auto& r : reports) {
      result.min = std::min(result.min, r.*timer);
      result.max = std::max(result.max, r.*timer);
      result.avg += r.*timer / static_cast<double>(reports.size());
    }
    return result;
  }

  // Rank 0 draws alone, however long it takes; the others wait from pulse to pulse, so that the watchdog's limit is one
  // for a few steps, and a rank that is lost is still found.
  void show(std::int64_t step) {
    world_.enter(fmt::format("step {}, pictures", step));
    agree(world_, "pictures", [&] {
      if (world_.rank() != 0) {
        while (still_drawing(false)) continue;
        return;
      }
      try {
        observer_.pictures(step, job_.pictures([this] { still_drawing(true); }));
      } catch (...) {
        still_drawing(false);
        throw;
      }
      still_drawing(false);
    });
  }

  // Rank 0's word, on every rank.
  bool still_drawing(bool mine) {
    std::array word{std::byte{mine}};
    world_.broadcast("pictures", word, 0);
    return word[0] != std::byte{0};
  }

  // Runs a part of a checkpoint and counts the time that training stands still for it.
  void checkpoint(std::int64_t step, const std::function<void()>& part) {
    const auto begun = Clock::now();
    world_.enter(fmt::format("checkpoint, after step {}", step));
    try {
      part();
    } catch (const Error&) {
      // A newer start clears away what this one had begun: then that is what there is to say. Every rank is here, since
      // a checkpoint's errors are agreed on.
      agree(world_, "look for a newer start", [&] {
        if (world_.rank() == 0) refuse_if_overtaken(newest_generation());
      });
      throw;
    }
    checkpoint_seconds_ += seconds_since(begun);
  }

  // Takes the state as it is; a thread of its own writes it while the next steps run.
  void begin_checkpoint(std::int64_t step) {
    // In a home that bears the number of this start: one that was overtaken and does not know it yet finds none there.
    const auto folder = start_.home.path / (checkpoint_name(step) + ".partial");
    agree(world_, "checkpoint folder", [&] {
      if (world_.rank() != 0) return;
      refuse_if_overtaken(newest_generation());
      std::error_code failed;
      fs::remove_all(folder, failed);
      // Not its parents: a home that was taken over must not come back.
      if (!fs::create_directory(folder, failed)) {
        errno = failed.value();
        throw_storage("cannot make folder", folder);
      }
    });
    agree(world_, "checkpoint snapshot", [&] { writer_.begin(step, folder, job_.snapshot()); });
    watch_then_ = watch_;
  }

  // Waits for what is being written, and makes it visible. Design invariant 5, durable before visible: all ranks agree
  // that their files are on the disk; only then does rank 0 name them in the manifest, rename the folder and move
  // `latest`.
  void finish_checkpoint() {
    const auto step = writer_.step();
    const auto folder = writer_.folder();
    std::vector<CheckpointFile> own;
    agree(world_, "checkpoint files", [&] { own = writer_.finish(written_ == Written::failed); });
    stop_clock_.saw_save(writer_.seconds());
    auto files = gather_files(own);
    agree(world_, "checkpoint manifest", [&] {
      if (world_.rank() != 0) return;
      refuse_if_overtaken(newest_generation());
      observer_.settle(step);
      write_manifest(folder, {step, start_.home.generation, config_.lanes, attempt_, watch_then_.state(),
                              start_.run_cfg, std::move(files), start_.images});
      sync_path(folder);
      remove_meanwhile(publish_checkpoint(start_.home.path, folder, step, config_.checkpoint_keep, spared(step)));
    });
    written_ = Written::not_yet;
  }

  // A disk takes its time to free gigabytes, and training need not wait for that.
  void remove_meanwhile(std::vector<fs::path> folders) {
    remover_ = std::jthread([folders = std::move(folders)] {
      std::error_code ignored;
      for (const auto& folder : folders) fs::remove_all(folder, ignored);
    });
  }

  // On the way out with an error that all ranks share, which is the one to be told.
  void keep_what_was_written() {
    if (!writer_.busy()) return;
    try {
      finish_checkpoint();
    } catch (const Error&) {
    }
  }

  // Rank 0 looks now and then, since the look is a file's; what it saw travels with the step's report.
  std::int64_t look_for_newer_start() {
    if (world_.rank() != 0 || seconds_since(looked_) < kSecondsBetweenLooks) return 0;
    looked_ = Clock::now();
    return newest_generation();
  }

  std::int64_t newest_generation() const { return newest_generation_folder(config_.run, kCheckpointHome).generation; }

  void refuse_if_overtaken(std::int64_t newest) const {
    if (newest > start_.home.generation)
      throw Error(ExitCode::storage,
                  fmt::format("start {} of run {} has been overtaken by start {}, and writes no more",
                              start_.home.generation, config_.run, newest),
                  "the run goes on elsewhere; stop one of the two");
  }

  std::vector<CheckpointFile> gather_files(const std::vector<CheckpointFile>& own) {
    std::string text;
    for (const auto& file : own) text += fmt::format("{} {} {}\n", file.name, file.bytes, file.checksum);
    std::vector<CheckpointFile> files;
    for (const auto& bytes : world_.gather_all("checkpoint checksums", std::as_bytes(std::span(text)))) {
      std::string part(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      for (std::size_t at = 0, end; (end = part.find('\n', at)) != std::string::npos; at = end + 1) {
        const auto line = part.substr(at, end - at);
        const auto first = line.find(' '), second = line.find(' ', first + 1);
        files.push_back(
            {line.substr(0, first), std::stoull(line.substr(first + 1, second - first - 1)), line.substr(second + 1)});
      }
    }
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return files;
  }

  TrainingJob& job_;
  const TrainingConfig& config_;
  const TrainingStart& start_;
  Communicator& world_;
  TrainingObserver& observer_;
  static constexpr double kSecondsBetweenLooks = 10;

  DivergenceWatch watch_{config_.divergence};
  DivergenceWatch watch_then_ = watch_;  // as it was at the checkpoint that is being written
  std::int64_t attempt_ = 0;
  Clock::time_point looked_ = Clock::now(), step_ended_ = looked_;
  StopClock stop_clock_{config_.stop_after, config_.deadline};
  StragglerWatch stragglers_{config_.straggler_factor, config_.straggler_steps};
  double checkpoint_seconds_ = 0;  // since the last report, told in the next step's record
  Written written_ = Written::not_yet;
  CheckpointWriter writer_;  // the same steps' on every rank
  std::jthread remover_;     // of checkpoints that newer ones have replaced; assigning to it waits for the one before
};

}  // namespace

double attempt_rate(const TrainingConfig& config, std::int64_t attempt) {
  return std::pow(config.divergence.rate, static_cast<double>(attempt));
}

ExitCode train(TrainingJob& job, const TrainingConfig& config, const TrainingStart& start, Communicator& world,
               TrainingObserver& observer) {
  return Loop(job, config, start, world, observer).run();
}

}  // namespace langrun
