// A plan as a person reads it, and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jobs/plan.h"
#include "jobs/plan_scaling.h"

namespace langrun::launch {

/// Shares that the rates asked of a site leave: of a step for its exchange, of a scheduler's notice for a checkpoint.
constexpr double kExchangeShare = 0.05, kNoticeSeconds = 60;

/// A plan with its times, where the speed of a rank is known.
struct TimedPlan {
  JobPlan plan;
  ScalingModel model;
  bool timed = false;
  bool measured = false;  ///< on this machine; else the speed was given
};

std::string plan_text(const TimedPlan& timed, std::int64_t training_steps);
std::string plan_json(const TimedPlan& timed, std::int64_t training_steps, const std::vector<std::string>& command);

}  // namespace langrun::launch
