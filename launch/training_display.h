// What a training run shows and records: progress line, metrics.jsonl, TensorBoard events, pictures.
#pragma once

#include <filesystem>
#include <memory>

#include "data/generation_folder.h"
#include "jobs/training.h"

namespace langrun::launch {

/// The observer of a training job on rank 0, writing into the folder `run`, which claim_run has prepared for the start
/// whose checkpoints are in `home`. Throws Error(storage), also where a newer start has taken the home.
std::unique_ptr<TrainingObserver> make_training_display(const std::filesystem::path& run, const GenerationFolder& home,
                                                        std::int64_t steps);

/// An observer that does nothing, for the other ranks.
std::unique_ptr<TrainingObserver> make_silent_display();

}  // namespace langrun::launch
