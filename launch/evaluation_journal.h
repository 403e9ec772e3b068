// The journal of an evaluation's finished images: where it is, and what a person is told where some of it is lost.
#pragma once

#include <filesystem>
#include <string>

#include "data/journal.h"

namespace langrun::launch {

/// What the folder of the journal is called (data/generation_folder.h), and the journal in it.
inline constexpr const char* kEvaluationState = "state";
inline constexpr const char* kImageJournal = "images.journal";

/// Whether something in the folder shows that a start had begun its journal, which comes before its first image. What a
/// start on one rank leaves that is killed shows nothing.
bool journal_was_begun(const std::filesystem::path& run);

/// What a resume of `run` warns of where its journal was not `there`, or held no record and no damage.
std::string warning_of_lost(const std::filesystem::path& run, const std::filesystem::path& journal, bool there);

/// What a resume warns of that has taken damage out of its journal.
std::string warning_of_damage(const std::filesystem::path& journal, const JournalDamage& damage);

}  // namespace langrun::launch
