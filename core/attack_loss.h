// What an attack sees of a classifier's answers to several replicates, and what it climbs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace langrun {

/// What is averaged over replicates [SS Alg. 1]: F = mean f(x_h), mean softmax f(x_h), or mean log softmax f(x_h);
/// `loss`, of attacks alone: the mean of the replicates' own losses (F is then the mean of logits).
enum class ReplicateAverage { logits, softmax, logsoftmax, loss };

enum class AttackLoss {
  cross_entropy,  ///< of F taken as logits: the authors' program did so for averaged probabilities too
  dlr             ///< difference of logits ratio (Croce and Hein 2020); wants three classes
};

/// F [classes] float32 of logits [H, classes].
at::Tensor averaged(const at::Tensor& logits, ReplicateAverage average);
/// argmax, the first of equals.
std::int64_t label_of(const at::Tensor& scores);

/// The loss, and its derivative by each replicate's logits.
struct AttackSignal {
  double loss = 0;
  at::Tensor cotangents;  ///< [H, classes] float32
};
AttackSignal attack_signal(const at::Tensor& logits, std::int64_t label, ReplicateAverage average, AttackLoss loss);

}  // namespace langrun
