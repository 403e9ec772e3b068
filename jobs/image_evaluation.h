// The evaluation of one image, from its natural check to its null control [SS Alg. 1, LC Alg. 2].
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "jobs/evaluation_config.h"
#include "jobs/evaluation_record.h"
#include "jobs/stage_channel.h"
#include "jobs/verdicts.h"

namespace langrun {

/// One image as it enters.
struct EvaluatedImage {
  std::uint64_t index = 0;
  std::int64_t label = 0;
  at::Tensor pixels;      ///< [C, H, W] float32 in [-1, 1]
  bool pictured = false;  ///< whether its pictures are kept
  /// The natural check where an evaluation of the same defense made it before; it is not made again.
  const JudgeCheck* natural = nullptr;
};

/// Everything that is done with one image, asking for replicates by `channel` and filling `record` (index and label
/// too). Both, and `config`, must outlive the coroutine. What it does depends on its arguments and on the answers
/// alone, so every rank runs it alike.
StageTask evaluate_image(const EvaluationConfig& config, std::int64_t classes, EvaluatedImage image,
                         StageChannel& channel, ImageRecord& record);

}  // namespace langrun
