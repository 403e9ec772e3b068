// Making an image store on all ranks at once: each rank fills its shard, and all agree on how it went.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/images.h"
#include "data/store_writer.h"
#include "distributed/communicator.h"

namespace langrun {

/// How the maker of a store hears of what goes on. Called on rank 0 alone.
struct BuildNotes {
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
  std::function<void(const std::string&)> warn;
};

/// A store that has been made.
struct BuildResult {
  std::uint64_t images = 0;
  ImageShape shape;
  std::int64_t skipped = 0;  ///< images left out as damaged
};

/// What one rank did since the last round.
struct BuildRound {
  bool finished = false;                ///< all of its rows are written or left out
  std::uint64_t done = 0;               ///< rows dealt with in this round
  std::vector<std::uint64_t> left_out;  ///< rows of the whole store that will be missing
  std::vector<std::string> damaged;     ///< what was left out, in words, an image each
  std::string first_image;              ///< name of the image whose shape the shard has
};

/// A store to be made.
struct BuildPlan {
  std::filesystem::path out;
  std::uint64_t rows = 0;       ///< of the whole store
  std::uint64_t own_first = 0;  ///< this rank's rows: own_first .. own_last - 1; ranks' rows follow each other
  std::uint64_t own_last = 0;
  std::vector<std::string> classes;
  Pixels pixels = Pixels::bytes;
  StoreRecord record;  ///< `skipped` counts what was left out beforehand
  std::function<std::int64_t(std::uint64_t row)> label;
  /// Writes some of this rank's rows, counted from its first, and says how it went. Errors become all ranks'.
  std::function<BuildRound(ShardWriter& writer)> produce;
  /// Where set: once all rows are written, on every rank, together; may call collectives. Rank 0's record counts.
  std::function<void(StoreRecord& record)> complete_record;
};

/// Where the share of rank `rank` of `ranks` begins among `count` things; for rank `ranks`, `count` itself.
std::uint64_t share_begin(std::uint64_t count, int rank, int ranks);

/// Makes the store. Collective, all ranks, one after the other: prepare, rounds, finish, publish; blocks on the slowest
/// rank. The images and labels do not depend on the ranks. All ranks throw the same Error: usage where OUT exists,
/// input and storage as `produce` and the disk have it; then nothing of the store is left behind.
BuildResult build_store(Communicator& world, const BuildPlan& plan, const BuildNotes& notes);

}  // namespace langrun
