// The options of `langrun classify`.
#pragma once

#include "jobs/classify.h"
#include "launch/options.h"

namespace langrun::launch {

void bind_classify(OptionTable& table, ClassifyConfig& config);

}  // namespace langrun::launch
