#include "launch/defend_run.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "data/durable.h"
#include "data/journal.h"
#include "data/weights_file.h"
#include "distributed/agreement.h"
#include "jobs/evaluation.h"
#include "jobs/evaluation_file.h"
#include "jobs/evaluation_result.h"
#include "jobs/stop_clock.h"
#include "launch/automatic_options.h"
#include "launch/defend_result.h"
#include "launch/defend_sweep_call.h"
#include "launch/evaluation_head.h"
#include "launch/evaluation_journal.h"
#include "launch/provenance.h"
#include "launch/report.h"
#include "launch/run_folder.h"
#include "launch/run_watch.h"
#include "launch/signals.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

/// Automatic, or fixed by others, as well.
constexpr std::array<AutomaticOption, 4> kAutomatic{
    {{"images", "all"}, {"protocols", "auto"}, {"attack.average", "same"}, {"attack.alpha", "0"}}};

std::string found_cfg(Communicator& world, const fs::path& run, bool resume) {
  return on_root(world, "look into the folder", [&]() -> std::string {
    return resume && fs::exists(run / "run.cfg") ? read_text(run / "run.cfg", kMostConfiguration) : "";
  });
}

class FolderEvaluation {
 public:
  FolderEvaluation(Call& call, OptionTable& table, DefendOptions& options, const Inherited& inherited,
                   const StartLook& look, bool report)
      : call_(call), world_(call.world), table_(table), options_(options), inherited_(inherited), run_(options.run),
        look_(look), report_(report) {
    state_.naturals = inherited.naturals;
  }

  int carry_out(const std::string& run_cfg) {
    const bool resumed = !run_cfg.empty();
    const auto kept = resumed ? kept_energy() : fs::path();
    energy_kept_ = !kept.empty();
    config_ = resolve_defend(world_, options_, table_, resumed ? kept : inherited_.energy);
    evaluation_.emplace(config_, world_);
    refuse_other_inputs();
    say_start();
    claim(run_cfg);
    read_finished(resumed);
    RunWatch watch(world_, run_, generation_);
    const auto code = evaluate();
    finish(code);
    watch.end();
    return static_cast<int>(code);
  }

 private:
  fs::path kept_energy() {
    return on_root(world_, "look for the energy", [&]() -> std::string {
      const auto kept = run_ / "energy.h5";
      return fs::exists(kept) ? kept.string() : "";
    });
  }

  /// Files may have changed since the point that natural checks and figures are to be compared with.
  void refuse_other_inputs() {
    agree(world_, "compare with points before", [&] {
      if (world_.rank() == 0 && !inherited_.inputs.empty())
        check_same_inputs(inherited_.inputs, evaluation_inputs(evaluation_->judge(), config_), "the points before");
    });
  }

  std::vector<std::string> notes() const {
    std::vector<std::string> notes;
    if (config_.attack.kind == "full" && evaluation_->piecewise_linear())
      notes.push_back(
          evaluation_->gaussian()
              ? "this energy is piecewise linear but for its Gaussian term: the chain's Jacobian is a multiple of the "
                "identity, and full's gradient points where that of bpda-eot does; full-smooth is the stronger check"
              : "this energy is piecewise linear: the chain's Jacobian is the identity, and full's gradient is that of "
                "bpda-eot; full-smooth is the stronger check");
    if (!evaluation_->energy_place_free())
      notes.push_back(
          "what the energy gives for a chain depends on its place in a call: chains are called one by one, so that "
          "verdicts do not depend on ranks");
    if (!evaluation_->judge().place_free)
      notes.push_back(
          "the classifier's logits depend on an image's place in a call: it is called image by image, so that verdicts "
          "do not depend on ranks");
    return notes;
  }

  void say_start() const {
    if (world_.rank() != 0) return;
    fmt::print("{} images of {}, classifier {}, {}\n", config_.images.size(), config_.data.string(),
               evaluation_->judge().network,
               config_.defended ? fmt::format("K {}, eta {}, T {}", config_.langevin.steps, config_.langevin.eta,
                                              config_.energy.temperature)
                                : "no energy");
    const auto& a = config_.attack;
    if (a.kind != "none")
      fmt::print("attack {}: {} {}{}, {} steps, {} start, {} restarts, H_adv {}, H_def {}\n", a.kind, a.norm, a.eps,
                 a.norm == "linf" ? "/255" : "", a.steps, a.start, a.restarts, a.replicates,
                 config_.defense.replicates);
    for (const auto& note : notes()) fmt::print("note: {}\n", note);
    std::fflush(stdout);
  }

  void claim(const std::string& run_cfg) {
    const auto hosts = by_rank(world_, "hosts", host_name());
    const auto devices = by_rank(world_, "devices", evaluation_->device());
    generation_ = std::stoll(on_root(world_, "claim the folder", [&] {
      text_ = table_.run_cfg();
      const auto home = begin_generation(run_, kEvaluationState, {call_.command_line, hosts, devices, 1, look_});
      publish_configuration(run_, home, text_);
      // Whatever stands there, unless it is what this start has read.
      if (config_.defended && !energy_kept_)
        publish_from(home, run_ / "energy.h5", [&](const fs::path& partial) { evaluation_->keep_energy(partial); });
      return std::to_string(home.generation);
    }));
    text_ = table_.run_cfg();
  }

  // Rank 0 holds the records; all ranks know whose are there.
  void read_finished(bool resumed) {
    const auto indices = on_root(world_, "read records", [&]() -> std::string {
      const auto path = generation_folder(run_, kEvaluationState, generation_).path / kImageJournal;
      const bool there = fs::exists(path);
      // Before it is read: an older start that is still alive goes on adding to the file it has open, and no more to
      // this.
      journal_.emplace(path);
      if (journal_->damage()) warn(warning_of_damage(path, *journal_->damage()));
      const auto known = read_journal(path);
      if (resumed && known.empty() && !journal_->damage()) warn(warning_of_lost(run_, path, there));
      const auto head = evaluation_head(text_, evaluation_->judge(), config_);
      std::string list;
      if (!known.empty()) {
        check_same_evaluation({reinterpret_cast<const char*>(known[0].data()), known[0].size()}, head, path);
        for (std::size_t i = 1; i < known.size(); ++i) {
          records_.push_back(unpacked(known[i]));
          list += fmt::format("{} ", records_.back().index);
        }
      }
      if (known.empty()) journal_->add(std::as_bytes(std::span(head)));
      return list;
    });
    std::istringstream in(indices);
    for (std::uint64_t index = 0; in >> index;) state_.finished.insert(index);
    state_.stop_at = options_.stop_at;
  }

  static void warn(const std::string& text) { fmt::print(stderr, "langrun: warning: {}\n", text); }

  ExitCode evaluate() {
    StopClock clock(options_.stop_after, options_.deadline);
    auto asked = Clock::now();
    EvaluationObserver observer;
    observer.finished = [this](const ImageRecord& record) {
      journal_->add(packed(record));
      records_.push_back(record);
    };
    observer.progress = [this](std::int64_t in_flight) { progress(in_flight); };
    // Asked once a round.
    observer.stop_asked = [&] {
      clock.saw_step(std::chrono::duration<double>(Clock::now() - std::exchange(asked, Clock::now())).count());
      return stop_asked() || clock.asks();
    };
    observer.overtaken = [this] {
      if (Clock::now() < look_again_) return false;
      look_again_ = Clock::now() + std::chrono::seconds(3);
      return overtaken();
    };
    const auto code = evaluation_->run(state_, observer);
    const auto counts = evaluation_->counts();
    agree(world_, "keep the cost", [&] {
      if (world_.rank() != 0) return;
      journal_->sync();
      add_cost(run_, {counts.seconds, world_.size(), counts});
    });
    return code;
  }

  bool overtaken() const { return newest_generation_folder(run_, kEvaluationState).generation > generation_; }

  void progress(std::int64_t in_flight) {
    if (Clock::now() < next_line_) return;
    next_line_ = Clock::now() + std::chrono::seconds(10);
    fmt::print(stderr, "defend: {} of {} images, {} in flight{}\n", records_.size(), config_.images.size(), in_flight,
               records_.empty() ? "" : shares());
  }

  /// Of the finished images.
  std::string shares() const {
    std::int64_t natural = 0, standing = 0;
    const auto scoring = scoring_of(config_, evaluation_->classes());
    const auto rules = rules_of(config_.rules);
    for (const auto& record : records_) {
      const bool right = naturally_correct(record);
      natural += right;
      standing += right && scoring.restarts > 0 &&
                  survived(broken_at(record, rules.front(), scoring, recorded_opinion(record.label))) == 1;
    }
    const auto done = static_cast<double>(records_.size());
    return fmt::format(", natural {:.3f}, {} {:.3f}", static_cast<double>(natural) / done, name_of(rules.front()),
                       static_cast<double>(standing) / done);
  }

  void finish(ExitCode code) {
    agree(world_, "write the result", [&] {
      if (world_.rank() != 0) return;
      if (overtaken()) throw overtaken_error(run_);
      if (code == ExitCode::stopped) {
        fmt::print("stopped as asked; {} of {} images are kept. Run again with --resume to go on.\n", records_.size(),
                   config_.images.size());
        return;
      }
      write_result();
    });
    on_root_slowly(world_, "report", [&] {
      if (code == ExitCode::done && report_) write_report(run_);
      return std::string();
    });
  }

  void write_result() {
    in_order();
    take_pictures();
    const auto scoring = scoring_of(config_, evaluation_->classes());
    const auto result = score_evaluation(records_, config_.rules, scoring, config_.seed, config_.defended);
    write_evaluation(run_ / "records.h5", records_, scoring,
                     {text_, evaluation_->class_names(), evaluation_->image(), config_.data,
                      evaluation_inputs(evaluation_->judge(), config_)});
    write_durably(run_ / "result.json", result_json(run_, result, evaluation_->class_names(), notes()));
    print_result(result, notes());
    fmt::print("records: {}\n", (run_ / "records.h5").string());
  }

  /// Of natural checks that were taken over: where they were made, the first replicate's end was kept.
  void take_pictures() {
    for (auto& record : records_) {
      const auto kept = inherited_.purified.find(record.index);
      if (record.purified.empty() && kept != inherited_.purified.end()) record.purified = kept->second;
    }
  }

  /// As the images were listed, whatever order they were finished in.
  void in_order() {
    std::map<std::uint64_t, std::size_t> place;
    for (std::size_t i = 0; i < config_.images.size(); ++i) place[config_.images[i]] = i;
    std::sort(records_.begin(), records_.end(),
              [&](const auto& a, const auto& b) { return place.at(a.index) < place.at(b.index); });
  }

  Call& call_;
  Communicator& world_;
  OptionTable& table_;
  DefendOptions& options_;
  const Inherited& inherited_;
  const fs::path run_;
  const StartLook look_;
  bool report_;
  bool energy_kept_ = false;  ///< the energy was read from the folder
  EvaluationConfig config_;
  EvaluationState state_;
  std::optional<Evaluation> evaluation_;
  std::string text_;
  std::int64_t generation_ = 0;
  std::optional<Journal> journal_;    ///< rank 0
  std::vector<ImageRecord> records_;  ///< rank 0
  Clock::time_point next_line_ = Clock::now() + std::chrono::seconds(10), look_again_{};
};

}  // namespace

int run_evaluation(Call& call, OptionTable& asked_table, DefendOptions& asked, const Inherited& inherited,
                   bool report) {
  if (asked.resume && !asked.run.empty() && kept_sweep(call.world, asked.run).begun())
    return run_sweep(call, asked_table, asked);
  call.world.set_limit(asked.watchdog_limit);
  listen_for_stop();
  const auto run_cfg = found_cfg(call.world, asked.run, asked.resume);
  settle_defend(asked, asked_table);
  agree_with_automatic(asked_table, kAutomatic, run_cfg, asked.run + "/run.cfg");
  DefendOptions options;
  OptionTable table("defend");
  bind_defend(table, options);
  const auto state = inspect_run(call.world, asked.run, asked.resume, asked_table, table);
  call.world.set_limit(options.watchdog_limit);
  if (run_cfg.empty()) check_defend(options, asked_table);
  return FolderEvaluation(call, table, options, inherited, state.look, report).carry_out(run_cfg);
}

}  // namespace langrun::launch
