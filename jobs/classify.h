// classify: a classifier of images, trained on all ranks; what `defend` attacks and judges.
#pragma once

#include <memory>
#include <string>

#include "core/settings.h"
#include "distributed/communicator.h"
#include "jobs/training.h"

namespace langrun {

/// Images on which a classifier is judged while it learns.
struct ValidationConfig {
  std::string data;          ///< store; empty: it is not
  std::int64_t every = 500;  ///< steps
};

/// Settings of a run, from the command line or run.cfg.
struct ClassifyConfig {
  TrainingConfig training;
  ClassifierConfig classifier;  ///< `classes` comes from the store
  LearningConfig learning;
  AugmentConfig augment;
  AdversarialConfig adversarial;
  ValidationConfig validation;
};

/// Builds the job on this rank. Collective, all ranks. Throws Error(usage) where settings do not fit each other,
/// Error(input) where a store is missing or of another size or classes. Touches nothing on disk.
std::unique_ptr<TrainingJob> make_classify(const ClassifyConfig& config, Communicator& world);

}  // namespace langrun
