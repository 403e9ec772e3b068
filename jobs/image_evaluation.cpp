#include "jobs/image_evaluation.h"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "core/attack.h"
#include "core/attack_loss.h"
#include "core/noise.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

ReplicateAverage average_of(const std::string& name) {
  if (name == "softmax") return ReplicateAverage::softmax;
  if (name == "logsoftmax") return ReplicateAverage::logsoftmax;
  return name == "loss" ? ReplicateAverage::loss : ReplicateAverage::logits;
}

/// The ball and step of the configuration, in the pixel range [-1, 1].
AttackBall ball_of(const AttackConfig& attack) {
  const bool linf = attack.norm == "linf";
  return {linf ? AttackNorm::linf : AttackNorm::l2, attack.eps * (linf ? 2.0 / 255 : 2.0)};
}

std::vector<float> values_of(const at::Tensor& tensor) {
  const auto flat = tensor.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

/// Gradients [H, ...] of a loss that is a function of all replicates: added in their order, halves apart.
struct AttackGradient {
  at::Tensor sum;  ///< [C, H, W]
  float norm = 0, cosine = kNone;
};

AttackGradient summed(const at::Tensor& gradients) {
  const auto count = gradients.size(0), middle = count / 2;
  const auto part = [&](std::int64_t first, std::int64_t end) {
    auto sum = gradients[first].clone();
    for (auto h = first + 1; h < end; ++h) sum.add_(gradients[h]);
    return sum;
  };
  if (count == 1) return {part(0, 1), gradients[0].norm().item<float>(), kNone};
  const auto one = part(0, middle), other = part(middle, count);
  const auto sum = one + other;
  const double lengths = one.norm().item<double>() * other.norm().item<double>();
  const auto cosine = lengths > 0 ? static_cast<float>((one * other).sum().item<double>() / lengths) : kNone;
  return {sum, sum.norm().item<float>(), cosine};
}

/// The state of one image's evaluation; its coroutines are the protocol, step by step.
class ImageEvaluation {
 public:
  ImageEvaluation(const EvaluationConfig& config, std::int64_t classes, EvaluatedImage image, StageChannel& channel,
                  ImageRecord& record)
      : config_(config), scoring_(scoring_of(config, classes)), image_(std::move(image)), channel_(channel),
        record_(record), average_(average_of(config.defense.average)),
        attack_average_(config.attack.average == "same" ? average_ : average_of(config.attack.average)),
        loss_(config.attack.kind == "apgd-dlr" ? AttackLoss::dlr : AttackLoss::cross_entropy) {
    record_.index = image_.index;
    record_.label = image_.label;
  }

  StageTask run() {
    if (image_.natural != nullptr) {
      record_.judge.push_back(*image_.natural);
    } else {
      auto natural = check(Purpose::natural, 0, 0, image_.pixels, image_.pictured);
      co_await natural;
    }
    natural_ = naturally_correct(record_);
    if (scoring_.restarts == 0 || (!natural_ && !attacked_though_wrong())) co_return;
    for (std::int64_t restart = 0; restart < scoring_.restarts; ++restart) {
      if (leaves()) break;
      auto one = attack(static_cast<std::uint32_t>(restart));
      co_await one;
    }
    if (!config_.rules.null_control || !natural_) co_return;
    auto control = null_control();
    co_await control;
  }

 private:
  /// The judge looks at an image: H_def fresh replicates, kept in the record.
  StageTask check(Purpose purpose, std::uint32_t restart, std::uint32_t step, at::Tensor pixels, bool pictured) {
    StageRequest request;
    request.identity = {image_.index, purpose, restart, step};
    request.image = pixels;
    request.replicates = config_.defense.replicates;
    request.pictured = pictured;
    const StageResult result = co_await channel_.stage(request);
    count_steps(request);
    JudgeCheck seen;
    seen.purpose = purpose;
    seen.restart = restart;
    seen.step = step;
    seen.label = static_cast<std::int32_t>(label_of(averaged(result.logits, average_)));
    for (std::int64_t h = 0; h < request.replicates; ++h)
      seen.votes.push_back(static_cast<std::int32_t>(label_of(result.logits[h])));
    seen.logits =
        stored_logits(values_of(result.logits), request.replicates, result.logits.size(1), config_.defense.average);
    seen.first_energy = result.first_energy[0].item<float>();
    seen.last_energy = result.last_energy.mean().item<float>();
    record_.judge.push_back(std::move(seen));
    if (pictured && result.purified.defined())
      (purpose == Purpose::natural ? record_.purified : record_.purified_adversarial) = values_of(result.purified);
  }

  /// One restart [SS Alg. 1]: for n = 0 .. N the small sample's label, verification where it is wrong, a step.
  StageTask attack(std::uint32_t restart) {
    const auto walk = begin(restart);
    const auto steps = static_cast<std::uint32_t>(scoring_.steps);
    for (std::uint32_t n = 0;; ++n) {
      at::Tensor cotangents, gradient;
      if (wants_small_samples()) {
        auto looked = small_sample(restart, n, *walk, cotangents);
        co_await looked;
        if (leaves()) break;
      }
      // Before the verification: it would take the small sample's place in the engine.
      if (n < steps) {
        auto climbed = climb(restart, n, *walk, cotangents, gradient);
        co_await climbed;
      }
      if (wants_small_samples() && record_.small.back().label != image_.label && wants_verification()) {
        auto verified = check(Purpose::judge, restart, n, walk->image(), false);
        co_await verified;
        if (leaves()) break;
      }
      if (n == steps) break;
      walk->advance(gradient);
    }
    if (image_.pictured) record_.adversarial = values_of(looks_at_last() ? walk->last() : walk->image());
    auto end = final_checks(restart, *walk);
    co_await end;
  }

  std::unique_ptr<AttackWalk> begin(std::uint32_t restart) const {
    const auto& attack = config_.attack;
    const auto ball = ball_of(attack);
    const auto key = noise_key(static_cast<std::uint64_t>(config_.seed), Stream::attack_start);
    // Two places apart, since an l2 start draws from two.
    const NoisePlace place{image_.index, 2 * restart};
    const bool automatic = attack.kind == "apgd-ce" || attack.kind == "apgd-dlr";
    auto start = image_.pixels;
    if (attack.start == "random")
      start = automatic ? surface_start(start, ball, key, place) : random_start(start, ball, key, place);
    if (automatic) return make_auto_pgd(image_.pixels, start, ball, attack.steps);
    return make_pgd(image_.pixels, start, ball, attack.alpha * (ball.norm == AttackNorm::linf ? 2.0 / 255 : 2.0));
  }

  /// H_adv replicates at the walk's image: their label, and what the attack climbs.
  StageTask small_sample(std::uint32_t restart, std::uint32_t n, AttackWalk& walk, at::Tensor& cotangents) {
    StageRequest request;
    request.identity = {image_.index, Purpose::small_sample, restart, n};
    request.image = walk.image();
    request.replicates = config_.attack.replicates;
    request.gradient = n < scoring_.steps && !gradient_is_bare();
    request.pathwise = attacks_pathwise(config_.attack);
    request.pictured = image_.pictured;
    const StageResult result = co_await channel_.stage(request);
    count_steps(request);
    keep_small(request.identity, result);
    const auto signal = attack_signal(result.logits, image_.label, attack_average_, loss_);
    record_.small.back().loss = static_cast<float>(signal.loss);
    if (request.gradient) cotangents = signal.cotangents;
    walk.saw(signal.loss, record_.small.back().label != image_.label);
    if (image_.pictured && result.purified.defined()) record_.purified_adversarial = values_of(result.purified);
  }

  void keep_small(const StageIdentity& stage, const StageResult& result) {
    SmallCheck seen;
    seen.purpose = stage.purpose;
    seen.restart = stage.restart;
    seen.step = stage.step;
    seen.label = static_cast<std::int32_t>(label_of(averaged(result.logits, average_)));
    seen.loss = seen.gradient_norm = seen.cosine = kNone;
    seen.first_energy = result.first_energy[0].item<float>();
    seen.last_energy = result.last_energy.mean().item<float>();
    record_.small.push_back(seen);
  }

  /// The gradient of the small sample that was just answered, or of a call of its own.
  StageTask climb(std::uint32_t restart, std::uint32_t n, AttackWalk& walk, at::Tensor cotangents, at::Tensor& found) {
    if (!cotangents.defined()) {
      auto bare = bare_signal(restart, n, walk, cotangents);
      co_await bare;
    }
    const at::Tensor gradients = co_await channel_.gradients(cotangents);
    const auto gradient = summed(gradients);
    if (!record_.small.empty() && record_.small.back().step == n && record_.small.back().restart == restart) {
      record_.small.back().gradient_norm = gradient.norm;
      record_.small.back().cosine = gradient.cosine;
    }
    found = gradient.sum;
  }

  StageTask bare_signal(std::uint32_t restart, std::uint32_t n, AttackWalk& walk, at::Tensor& cotangents) {
    StageRequest request;
    request.identity = {image_.index, Purpose::small_sample, restart, n};
    request.image = walk.image();
    request.bare = !gradient_is_defended();
    request.replicates = request.bare ? 1 : config_.attack.replicates;
    request.gradient = true;
    request.pathwise = !request.bare && attacks_pathwise(config_.attack);
    const StageResult result = co_await channel_.stage(request);
    count_steps(request);
    const auto signal = attack_signal(result.logits, image_.label, attack_average_, loss_);
    cotangents = signal.cotangents;
    if (wants_small_samples()) co_return;
    // No rule looks at this answer; its gradient is kept all the same, so that it can be warned of.
    auto seen = request.identity;
    seen.purpose = Purpose::gradient;
    keep_small(seen, result);
    record_.small.back().loss = static_cast<float>(signal.loss);
    walk.saw(signal.loss, record_.small.back().label != image_.label);
  }

  StageTask final_checks(std::uint32_t restart, const AttackWalk& walk) {
    // Small samples have shown where the walk's image goes; what it hands over may be another.
    const bool pictured = image_.pictured && (!wants_small_samples() || !at::equal(walk.last(), walk.image()));
    const bool once = config_.rules.final_step && still_wanted(Rule::final_step);
    if (once) {
      auto last = check(Purpose::final_judge, restart, 0, walk.last(), pictured);
      co_await last;
    }
    if (!config_.rules.resubmission || !still_wanted(Rule::resubmission)) co_return;
    for (std::int64_t i = 0; i < scoring_.resubmissions; ++i) {
      auto again = check(Purpose::resubmission, restart, static_cast<std::uint32_t>(i), walk.last(),
                         pictured && !once && i == 0);
      co_await again;
      if (config_.packing.leaving && record_.judge.back().label != image_.label) break;
    }
  }

  /// The same number of checks on the unperturbed image, up to the first that calls it wrong.
  StageTask null_control() {
    if (config_.rules.verified_any_step) {
      const auto checks = checks_made(record_, Rule::verified_any_step, scoring_);
      for (std::int64_t i = 0; i < checks; ++i) {
        auto judged = check(Purpose::null_judge, 0, static_cast<std::uint32_t>(i), image_.pixels, false);
        co_await judged;
        if (record_.judge.back().label != image_.label) break;
      }
    }
    if (!config_.rules.any_step) co_return;
    const auto checks = checks_made(record_, Rule::any_step, scoring_);
    for (std::int64_t i = 0; i < checks; ++i) {
      StageRequest request;
      request.identity = {image_.index, Purpose::null_small, 0, static_cast<std::uint32_t>(i)};
      request.image = image_.pixels;
      request.replicates = config_.attack.replicates;
      const StageResult result = co_await channel_.stage(request);
      count_steps(request);
      keep_small(request.identity, result);
      if (record_.small.back().label != image_.label) break;
    }
  }

  bool gradient_is_defended() const { return config_.defended && !attacks_bare(config_.attack); }
  /// Whether the gradient needs a call of its own beside the small sample's.
  bool gradient_is_bare() const { return config_.defended && attacks_bare(config_.attack); }

  bool wants_verification() const { return still_wanted(Rule::verified_any_step) || still_wanted(Rule::majority_vote); }
  /// Libraries of attacks move wrong images too, and count those that come out right: so does final_step where there is
  /// no energy, to be comparable.
  bool attacked_though_wrong() const { return !config_.defended && config_.rules.final_step; }

  bool wants_small_samples() const {
    if (!natural_) return false;
    return config_.rules.any_step || config_.rules.verified_any_step || config_.rules.majority_vote;
  }

  /// Whether a rule is scored and nothing has broken the image by it yet.
  bool still_wanted(Rule rule) const {
    if (!natural_ && rule != Rule::final_step) return false;
    for (const auto wanted : rules_of(config_.rules))
      if (wanted == rule) return survived(broken_at(record_, rule, scoring_, recorded_opinion(image_.label))) != 0;
    return false;
  }

  /// Whether a check of the image that the attack hands over is to come.
  bool looks_at_last() const { return still_wanted(Rule::final_step) || still_wanted(Rule::resubmission); }

  bool leaves() const { return config_.packing.leaving && all_broken(); }

  bool all_broken() const {
    for (const auto rule : rules_of(config_.rules))
      if (still_wanted(rule)) return false;
    return true;
  }

  void count_steps(const StageRequest& request) {
    if (!request.bare) record_.image_steps += static_cast<std::uint64_t>(request.replicates * config_.langevin.steps);
  }

  const EvaluationConfig& config_;
  Scoring scoring_;
  EvaluatedImage image_;
  StageChannel& channel_;
  ImageRecord& record_;
  ReplicateAverage average_, attack_average_;
  bool natural_ = false;
  AttackLoss loss_;
};

}  // namespace

StageTask evaluate_image(const EvaluationConfig& config, std::int64_t classes, EvaluatedImage image,
                         StageChannel& channel, ImageRecord& record) {
  ImageEvaluation evaluation(config, classes, std::move(image), channel, record);
  auto whole = evaluation.run();
  co_await whole;
}

}  // namespace langrun
