// records.h5: an evaluation's records as datasets that h5py reads, and back.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/images.h"
#include "jobs/evaluation_record.h"
#include "jobs/verdicts.h"

namespace langrun {

/// What stands beside the records.
struct EvaluationFileFacts {
  std::string configuration;         ///< text of run.cfg
  std::vector<std::string> classes;  ///< names
  ImageShape image;
  std::filesystem::path data;  ///< the store, whose images are copied for the gallery
  std::string inputs = {};     ///< text of the checksums of what was read
};

/// Writes PATH, whole or not at all, over what was there. Records in the order in which they are given; rules that they
/// do not cover stand with kUncovered. Throws Error(storage); Error(input) where the store cannot be read.
void write_evaluation(const std::filesystem::path& path, const std::vector<ImageRecord>& records,
                      const Scoring& scoring, const EvaluationFileFacts& facts);

/// What such a file holds; of its pictures the purified natural ones alone.
struct EvaluationFile {
  std::vector<ImageRecord> records;
  std::vector<std::string> classes;  ///< names
  std::string configuration;         ///< text of run.cfg when they were made
  std::string inputs = {};           ///< text of the checksums of what was read; none in older files
};
/// Throws Error(input) where it is missing, damaged or none.
EvaluationFile read_evaluation(const std::filesystem::path& path);

}  // namespace langrun
