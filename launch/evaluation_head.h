// What the records of an evaluation were made with, as text: run.cfg, and what the files held that it names.
#pragma once

#include <filesystem>
#include <string>

#include "jobs/evaluation_config.h"
#include "jobs/judge_net.h"

namespace langrun::launch {

/// Checksums of what an evaluation reads, as text: of the classifier, of the list of images, and of their pixels and
/// labels, all of which it reads. Rank 0 alone. Throws Error(input) where the store cannot be read.
std::string evaluation_inputs(const JudgeFacts& judge, const EvaluationConfig& config);

/// The text that a journal begins with: `run_cfg` and evaluation_inputs. Rank 0 alone. Throws as the latter.
std::string evaluation_head(const std::string& run_cfg, const JudgeFacts& judge, const EvaluationConfig& config);

/// Throws Error(usage), naming the first key that differs, where `written`, which stands in `path`, tells of another
/// evaluation than `now`. Of two texts of run.cfg too. Keys that change no bit of a record may differ; checksums that
/// only one of them has are not compared.
void check_same_evaluation(const std::string& written, const std::string& now, const std::filesystem::path& path);

/// Throws Error(usage), naming what differs, where checksums of evaluation_inputs that both texts hold are not the
/// same. `written` is of `other`, an evaluation that this one is to be compared with.
void check_same_inputs(const std::string& written, const std::string& now, const std::string& other);

}  // namespace langrun::launch
