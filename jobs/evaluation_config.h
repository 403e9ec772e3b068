// The settings of an evaluation: which attack, which defense, which rules, and how work is packed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/settings.h"
#include "jobs/judge_net.h"
#include "jobs/sample_config.h"

namespace langrun {

struct AttackConfig {
  std::string kind = "bpda-eot";   ///< one of attack_kinds()
  std::string norm = "linf";       ///< linf or l2
  double eps = 8;                  ///< /255 for linf, [0, 1] image units for l2
  double alpha = 2;                ///< step, in the same units; Auto-PGD has its own
  std::int64_t steps = 50;         ///< N
  std::string start = "random";    ///< random or none
  std::int64_t restarts = 1;       ///< R
  std::int64_t replicates = 15;    ///< H_adv
  std::string average = "same";    ///< same as the defense's, or logits, softmax, logsoftmax, loss
  double sharpness = 10;           ///< of full-smooth's softplus
};

struct DefenseConfig {
  std::int64_t replicates = 150;     ///< H_def
  std::string average = "logits";    ///< logits, softmax or logsoftmax
  std::int64_t resubmissions = 10;   ///< M
};

/// Rules of success that are scored, and so how long an image stays.
struct WantedRules {
  bool verified_any_step = true, any_step = true, null_control = true;
  bool final_step = false, majority_vote = false, resubmission = false;
};

/// How work is packed. Of these `call` and `classifier_call` are part of the bits; the others are not.
struct PackingConfig {
  std::int64_t call = 16;            ///< chains a network call
  std::int64_t classifier_call = 8;  ///< images a classifier call
  std::int64_t calls = 4;            ///< calls under way on a rank
  std::int64_t images = 0;           ///< images in flight on all ranks; 0: as many as keep every call full
  std::string order = "index";       ///< in which images enter: index, reverse or shuffled
  bool leaving = true;               ///< images leave once no wanted rule needs them
};

struct EvaluationConfig {
  AttackConfig attack;
  DefenseConfig defense;
  WantedRules rules;
  PackingConfig packing;
  bool defended = true;  ///< whether there is an energy
  SampledEnergyConfig energy;
  LangevinConfig langevin;  ///< K = 0 where there is no energy; its temperature is the energy's
  JudgeNetConfig classifier;
  std::filesystem::path data;
  std::vector<std::uint64_t> images;  ///< of the store, in the order of the record
  std::int64_t seed = 1;
  std::int64_t threads = 1;  ///< per rank
  std::string device = "auto";
  std::int64_t gallery = 64;  ///< first images of the record that are kept for pictures
};

/// none, pgd, fgsm, transfer, bpda, bpda-eot, apgd-ce, apgd-dlr, full, full-smooth.
std::vector<std::string> attack_kinds();
/// Whether the gradient is that of the bare classifier.
bool attacks_bare(const AttackConfig& attack);
/// Whether the gradient goes back through the chain's steps.
bool attacks_pathwise(const AttackConfig& attack);

}  // namespace langrun
