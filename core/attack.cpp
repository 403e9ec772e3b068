#include "core/attack.h"

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "core/noise.h"
#include "core/torch.h"

namespace langrun {
namespace {

std::span<float> values_of(at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

at::Tensor uniform_like(const at::Tensor& image, NoiseKey key, NoisePlace place) {
  auto drawn = torch::empty(image.sizes());
  fill_uniform(key, place, values_of(drawn));
  return drawn;
}

at::Tensor normal_like(const at::Tensor& image, NoiseKey key, NoisePlace place) {
  auto drawn = torch::empty(image.sizes());
  fill_normal(key, place, values_of(drawn));
  return drawn;
}

double length_of(const at::Tensor& x) { return x.to(torch::kDouble).norm().item<double>(); }

class Pgd final : public AttackWalk {
 public:
  Pgd(const at::Tensor& center, const at::Tensor& start, const AttackBall& ball, double alpha)
      : center_(center), x_(start), ball_(ball), alpha_(alpha) {}
  const at::Tensor& image() const override { return x_; }
  void saw(double, bool) override {}
  void advance(const at::Tensor& gradient) override {
    x_ = projected(ascended(x_, gradient, alpha_, ball_.norm), center_, ball_);
  }
  at::Tensor last() const override { return x_; }

 private:
  at::Tensor center_, x_;
  AttackBall ball_;
  double alpha_;
};

class AutoPgd final : public AttackWalk {
 public:
  AutoPgd(const at::Tensor& center, const at::Tensor& start, const AttackBall& ball, std::int64_t steps)
      : center_(center), x_(start), before_(start), best_(start), ball_(ball), step_(2 * ball.eps),
        period_(std::max<std::int64_t>(share(0.22, steps), 1)), shortest_(std::max<std::int64_t>(share(0.06, steps), 1)),
        shortening_(std::max<std::int64_t>(share(0.03, steps), 1)) {}

  const at::Tensor& image() const override { return x_; }

  void saw(double loss, bool wrong) override {
    if (wrong) wrong_ = x_;
    losses_.push_back(loss);
    best_here_ = loss > best_loss_;
    if (!best_here_) return;
    best_loss_ = loss;
    best_ = x_;
  }

  void advance(const at::Tensor& gradient) override {
    if (best_here_) best_gradient_ = gradient;
    auto slope = gradient;
    if (losses_.size() > 1 && ++since_check_ == period_) slope = checked(gradient);
    const double fresh = losses_.size() > 1 ? 0.75 : 1.0;
    const auto inertia = x_ - before_;
    before_ = x_;
    const auto straight = projected(ascended(x_, slope, step_, ball_.norm), center_, ball_);
    x_ = projected(x_ + fresh * (straight - x_) + (1 - fresh) * inertia, center_, ball_);
  }

  at::Tensor last() const override { return wrong_.defined() ? wrong_ : best_; }

 private:
  static std::int64_t share(double of, std::int64_t steps) {
    return static_cast<std::int64_t>(of * static_cast<double>(steps));
  }

  /// End of a period: where the loss rose too seldom, or its best did not rise since a period that kept its step, the
  /// step is halved and the attack goes back to its best point.
  at::Tensor checked(const at::Tensor& gradient) {
    std::int64_t rises = 0;
    const auto now = static_cast<std::int64_t>(losses_.size()) - 1;
    for (std::int64_t i = now; i > now - period_ && i > 0; --i)
      rises += losses_[static_cast<std::size_t>(i)] > losses_[static_cast<std::size_t>(i - 1)];
    const bool swings = static_cast<double>(rises) <= 0.75 * static_cast<double>(period_);
    const bool stalled = !halved_ && checked_best_ >= best_loss_;
    halved_ = swings || stalled;
    checked_best_ = best_loss_;
    since_check_ = 0;
    period_ = std::max(period_ - shortening_, shortest_);
    if (!halved_) return gradient;
    step_ /= 2;
    x_ = best_;
    // None where no loss was ever a number: then the start is the best point.
    return best_gradient_.defined() ? best_gradient_ : gradient;
  }

  at::Tensor center_, x_, before_, best_, best_gradient_, wrong_;
  AttackBall ball_;
  double step_, best_loss_ = -std::numeric_limits<double>::infinity();
  double checked_best_ = -std::numeric_limits<double>::infinity();
  std::vector<double> losses_;
  std::int64_t period_, shortest_, shortening_, since_check_ = 0;
  bool halved_ = true, best_here_ = false;
};

}  // namespace

at::Tensor projected(const at::Tensor& x, const at::Tensor& center, const AttackBall& ball) {
  if (ball.norm == AttackNorm::linf)
    return at::minimum(at::maximum(x, center - ball.eps), center + ball.eps).clamp_(-1, 1);
  const auto way = x - center;
  const double length = length_of(way);
  return (length > ball.eps ? center + way * (ball.eps / length) : x).clamp(-1, 1);
}

at::Tensor random_start(const at::Tensor& center, const AttackBall& ball, NoiseKey key, NoisePlace place) {
  if (ball.norm == AttackNorm::linf)
    return projected(center + ball.eps * (2 * uniform_like(center, key, place) - 1), center, ball);
  const auto direction = normal_like(center, key, place);
  float radius = 0;
  // A place of its own: it reads the same words as the direction would.
  fill_uniform(key, {place.identity, place.step + 1}, {&radius, 1});
  return projected(center + direction * (ball.eps * radius / length_of(direction)), center, ball);
}

at::Tensor surface_start(const at::Tensor& center, const AttackBall& ball, NoiseKey key, NoisePlace place) {
  if (ball.norm == AttackNorm::linf) {
    const auto noise = 2 * uniform_like(center, key, place) - 1;
    return projected(center + noise * (ball.eps / noise.abs().max().item<double>()), center, ball);
  }
  const auto direction = normal_like(center, key, place);
  return projected(center + direction * (ball.eps / length_of(direction)), center, ball);
}

at::Tensor ascended(const at::Tensor& x, const at::Tensor& gradient, double alpha, AttackNorm norm) {
  if (norm == AttackNorm::linf) return x + alpha * gradient.sign();
  const double length = length_of(gradient);
  return length > 0 ? x + gradient * (alpha / length) : x.clone();
}

std::unique_ptr<AttackWalk> make_pgd(const at::Tensor& center, const at::Tensor& start, const AttackBall& ball,
                                     double alpha) {
  return std::make_unique<Pgd>(center, start, ball, alpha);
}

std::unique_ptr<AttackWalk> make_auto_pgd(const at::Tensor& center, const at::Tensor& start, const AttackBall& ball,
                                          std::int64_t steps) {
  return std::make_unique<AutoPgd>(center, start, ball, steps);
}

}  // namespace langrun
