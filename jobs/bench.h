// Measurements behind `langrun bench`: ours and PyTorch's ways of doing the same work, in turns, in one process.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "distributed/communicator.h"
#include "jobs/evaluation_config.h"

namespace langrun {

class Energy;

struct BenchConfig {
  std::string network = "light";   ///< an energy
  std::int64_t width = 0;          ///< its base width; 0: the paper's
  std::string precision = "fp32";  ///< of the networks inside Langevin sampling
  std::int64_t batch = 128;        ///< images
  std::int64_t lanes = 8;          ///< calls that a batch is split into, as in training
  std::int64_t steps = 10;         ///< Langevin steps of one measurement
  std::int64_t repeats = 7;        ///< measurements of each figure
  std::string checkpoint;          ///< of a run, for precision
  std::int64_t threads = 1;
  std::string source;                           ///< images to import; none: JPEGs of its own
  std::int64_t size = 128;                      ///< that they are imported to
  std::int64_t megabytes = 10;                  ///< of the vector that ranks add (exchange)
  std::int64_t chain_steps = 100;               ///< Langevin steps of a training step (train)
  std::int64_t generator_width = 64;            ///< of the sngan32 generator (train)
  double gigabytes = 1;                         ///< of a bank, all ranks (checkpoint)
  std::int64_t every = 100;                     ///< steps that share a checkpoint
  double step_seconds = 0.1;                    ///< that one of them computes
  std::string folder;                           ///< to write in; empty: the current one
  EvaluationConfig evaluation;                  ///< its precision and whether images leave aside (defend)
  std::vector<std::string> precisions{"fp32"};  ///< of its energy, each measured (defend)
  std::vector<bool> leaving{true, false};       ///< likewise
};

/// One figure, measured `repeats` times.
struct BenchFigure {
  std::string what;
  std::string unit;            ///< of `values`: "normals/s", "image-steps/s", "s", "%", "x" for a ratio
  std::vector<double> values;  ///< in the order of measuring; rates are per second of wall time
  /// Of rates: likewise, per second of processor time of a rank, where what else runs counts less. Else a ratio by it,
  /// or none.
  std::vector<double> per_core_second;
};

/// Median, lowest and highest of `values`, all 0 where there are none.
struct BenchSpread {
  double median = 0, low = 0, high = 0;
};
BenchSpread spread_of(std::vector<double> values);

struct BenchReport {
  std::string name;
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<BenchFigure> figures;
  std::vector<BenchFigure> ratios;  ///< of figures measured side by side: repeat k over repeat k
};

/// Something to time: run() does `work` units on each rank.
struct BenchCase {
  std::string what;
  double work = 0;
  std::function<void()> run;
  std::function<void()> after = {};  ///< clears up, not counted; such work is timed once, not repeated
  /// In place of the two runs that warm up, where one takes minutes; such work is timed once, too.
  std::function<void()> warm_up = {};
};

/// Rates of `cases`, measured in turns (all once, then all again, ...), so that what else the machine does at a time
/// falls on all of them. Each is warmed up, and repeated within a measurement until that lasts `least_seconds`.
/// Collective, all ranks with the same cases: each measurement begins on all ranks at once and lasts until the slowest
/// is done; a rate counts the work of all ranks. Every rank gets the same figures.
std::vector<BenchFigure> measure_in_turns(const std::vector<BenchCase>& cases, const std::string& unit,
                                          std::int64_t repeats, double least_seconds, Communicator& world);
/// Ratio of two figures measured in turns, repeat by repeat, by wall time and by processor time.
BenchFigure ratio_of(const BenchFigure& ours, const BenchFigure& theirs);

/// Products and sums that one image costs in the network's plain forward pass; its gradient in the image costs as many
/// again.
double multiply_adds(Energy& energy);
/// The machine's matrix rate, to hold others against: GFLOP of 1024 x 1024 matrices of fp32 or bf16.
BenchCase matrix_product(const std::string& precision);

// Every benchmark is collective: all ranks call it, and get the same report.

/// Normals and Langevin updates a second: each instruction set of ours, the one in use, and PyTorch's.
BenchReport bench_noise(const BenchConfig& config, Communicator& world);

/// Checkpoints of a bank: the rate at which a snapshot reaches the disk beside plain writes of the same bytes, and what
/// one in the background adds to a loop that draws, computes and writes back as training does. Writes into a new folder
/// under `folder`, and removes it. Throws Error(usage) where lanes do not divide the batch, Error(storage).
BenchReport bench_checkpoint(const BenchConfig& config, Communicator& world);

/// Langevin image-steps a second: our sampler at config.precision, in lanes and in one call, and the plain PyTorch loop
/// at fp32 (autograd through the network, randn_like, one call). Beside them the machine's matrix rate, and the share
/// of it. Throws Error(usage) where lanes do not divide the batch, Error(internal) where the two gradients differ.
BenchReport bench_langevin(const BenchConfig& config, Communicator& world);

/// Images a second of `data import` to config.size with config.threads threads a rank, decoding in full and at a
/// fraction, and of the loader that reads the store back in random order. Without config.source, of 256 JPEGs of 375 x
/// 500 pixels that it draws. Writes to the folder for temporary files, and clears up. Throws as import_images does.
BenchReport bench_import(const BenchConfig& config, Communicator& world);

/// How far bf16 is from fp32 under the energy of `config.checkpoint`, image by image over the first `batch` chains of
/// its bank and over uniform noise: gradients by norm and cosine, energies by their spread. Not a speed; not part of
/// `all`. Throws Error(usage) where no checkpoint is named, Error(input) for one without a bank.
BenchReport bench_precision(const BenchConfig& config, Communicator& world);

/// Sums a second of one vector a rank, over ranks: our fixed tree, with one and with four lanes a rank, and
/// MPI_Allreduce in place, which adds in an order of its own. Throws Error(usage) on a number of ranks that is no power
/// of two.
BenchReport bench_exchange(const BenchConfig& config, Communicator& world);

/// Whole training steps of a shortrun: `network` with an sngan32 generator, on built-in images in a folder of its own
/// under TMPDIR; image-steps a second, seconds a step and of each phase. Throws as make_shortrun does.
BenchReport bench_train(const BenchConfig& config, Communicator& world);

/// Images a second of config.evaluation, from its opened energy to its last record, in each of `precisions` and with
/// images leaving or not; energy and classifier calls and Langevin steps an image, and the share of places in calls in
/// which nothing moved. Not part of `all`. Throws as Evaluation does.
BenchReport bench_defend(const BenchConfig& config, Communicator& world);

}  // namespace langrun
