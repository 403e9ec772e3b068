// What the records of an evaluation were made with, as text: run.cfg, and what the files held that it names.
#pragma once

#include <filesystem>
#include <string>

#include "jobs/evaluation_config.h"
#include "jobs/judge_net.h"

namespace langrun::launch {

/// The text that a journal begins with: `run_cfg`, checksums of the classifier, of the list of images, and of their
/// pixels and labels, all of which it reads. Rank 0 alone. Throws Error(input) where the store cannot be read.
std::string evaluation_head(const std::string& run_cfg, const JudgeFacts& judge, const EvaluationConfig& config);

/// Throws Error(usage), naming the first key that differs, where `written`, which stands in `path`, tells of another
/// evaluation than `now`. Of two texts of run.cfg too. Keys that change no bit of a record may differ; checksums that
/// only one of them has are not compared.
void check_same_evaluation(const std::string& written, const std::string& now, const std::filesystem::path& path);

}  // namespace langrun::launch
