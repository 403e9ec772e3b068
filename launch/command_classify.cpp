// langrun classify
#include "jobs/classify.h"
#include "launch/classify_options.h"
#include "launch/commands.h"
#include "launch/training_command.h"

namespace langrun::launch {
int run_classify(Call& call) {
  TrainingCommand<ClassifyConfig> command{
      "classify", "Trains a classifier of 32x32 images: what `langrun defend` attacks and judges.", bind_classify,
      make_classify};
  return run_training(call, command);
}

}  // namespace langrun::launch
