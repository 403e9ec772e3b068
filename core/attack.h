// Steps of attacks in a ball about an image: projected gradient ascent [SS Alg. 1; Madry et al. 2018].
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "core/noise_key.h"

namespace langrun {

enum class AttackNorm { linf, l2 };

/// Images within `eps` of one image, pixels within [-1, 1].
struct AttackBall {
  AttackNorm norm = AttackNorm::linf;
  double eps = 0;  ///< pixel range [-1, 1]: twice a radius on [0, 1]
};

/// The nearest point of the ball about `center` to x, then within the pixel range. Both [C, H, W] float32.
at::Tensor projected(const at::Tensor& x, const at::Tensor& center, const AttackBall& ball);
/// A point of the ball: uniform for linf; for l2 a random direction at radius eps u, u uniform. Keyed; center
/// [C, H, W].
at::Tensor random_start(const at::Tensor& center, const AttackBall& ball, NoiseKey key, NoisePlace place);
/// A point on the ball's surface, as Auto-PGD begins: uniform (linf) or normal (l2) noise stretched to eps.
at::Tensor surface_start(const at::Tensor& center, const AttackBall& ball, NoiseKey key, NoisePlace place);
/// x + alpha sign(g), or x + alpha g / ||g||; nothing where g is zero. Not projected.
at::Tensor ascended(const at::Tensor& x, const at::Tensor& gradient, double alpha, AttackNorm norm);

/// The way of one attack, step by step. All images are [C, H, W] float32 of their own memory.
class AttackWalk {
 public:
  virtual ~AttackWalk() = default;
  /// Where the attack is now.
  virtual const at::Tensor& image() const = 0;
  /// What was seen at image(): the loss (higher is better for the attack) and whether the label was wrong.
  virtual void saw(double loss, bool wrong) = 0;
  /// Moves on along the loss's gradient at image(), after saw().
  virtual void advance(const at::Tensor& gradient) = 0;
  /// The image to hand over at the end, after the last saw().
  virtual at::Tensor last() const = 0;
};

/// Plain projected gradient ascent of step `alpha` (pixel range [-1, 1]) from `start`; hands over where it is.
std::unique_ptr<AttackWalk> make_pgd(const at::Tensor& center, const at::Tensor& start, const AttackBall& ball,
                                     double alpha);
/// Auto-PGD of `steps` steps (Croce and Hein 2020, "Reliable evaluation of adversarial robustness"): momentum .75, a
/// step of 2 eps that is halved where the loss stops rising, and a return to the best point then. Hands over the last
/// point whose label was wrong, else the one of the highest loss.
std::unique_ptr<AttackWalk> make_auto_pgd(const at::Tensor& center, const at::Tensor& start, const AttackBall& ball,
                                          std::int64_t steps);

}  // namespace langrun
