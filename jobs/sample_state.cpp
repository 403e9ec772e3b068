#include "jobs/sample_state.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <span>

#include "core/error.h"
#include "data/durable.h"
#include "data/hdf5.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

// Older files have no seal, and HDF5 keeps no checksums of contiguous values; a bit that fell over would walk on.
std::string checksum_of(const BlockState& state) {
  Checksum sum;
  sum.add(std::as_bytes(std::span(&state.step, 1)));
  sum.add(std::as_bytes(std::span(state.chains)));
  sum.add(std::as_bytes(std::span(state.latents)));
  sum.add(std::as_bytes(std::span(state.magnitudes)));
  for (const auto& column : state.columns) {
    sum.add(std::as_bytes(std::span(column.energy)));
    sum.add(std::as_bytes(std::span(column.magnitude)));
    sum.add(std::as_bytes(std::span(column.residual)));
  }
  return sum.text();
}

[[noreturn]] void damaged(const fs::path& file, const std::string& why) {
  throw Error(ExitCode::storage, fmt::format("{}: {}", file.string(), why),
              "this sampling cannot go on; begin it anew in another folder");
}

void read_columns(const h5::File& file, BlockState& state, std::uint64_t call) {
  const auto energy = file.dataset("/energy"), magnitude = file.dataset("/gradient_magnitude");
  const auto listed = energy.shape().empty() ? 0 : energy.shape()[0];
  if (energy.shape() != h5::Shape{listed, call} || magnitude.shape() != energy.shape())
    throw Error(ExitCode::input, "is of another call size");
  std::optional<h5::Dataset> residual;
  if (file.has("/residual")) residual.emplace(file.dataset("/residual"));
  if (residual && residual->shape() != energy.shape()) throw Error(ExitCode::input, "is of another call size");
  for (std::uint64_t i = 0; i < listed; ++i) {
    BlockColumn column{std::vector<float>(call), std::vector<float>(call), std::vector<float>(residual ? call : 0)};
    energy.read_rows(i, 1, column.energy.data());
    magnitude.read_rows(i, 1, column.magnitude.data());
    if (residual) residual->read_rows(i, 1, column.residual.data());
    state.columns.push_back(std::move(column));
  }
}

BlockState read_checked(const h5::File& file, std::int64_t number, std::uint64_t call, const ImageShape& image) {
  BlockState state;
  state.number = number;
  state.step = file.read_int_attribute("/", "step");
  const auto chains = file.dataset("/chains");
  if (chains.shape() != h5::Shape{call, static_cast<std::uint64_t>(image.channels),
                                  static_cast<std::uint64_t>(image.height), static_cast<std::uint64_t>(image.width)})
    throw Error(ExitCode::input, "is of another shape");
  state.chains = chains.read<float>();
  if (file.has("/latents")) {
    const auto latents = file.dataset("/latents");
    if (latents.shape().size() != 2 || latents.shape()[0] != call) throw Error(ExitCode::input, "is of another shape");
    state.latents = latents.read<float>();
  }
  state.magnitudes = file.dataset("/magnitudes").read<double>();
  read_columns(file, state, call);
  if (file.read_text_attribute("/", "checksum") != checksum_of(state))
    throw Error(ExitCode::input, "is not what was written: its checksum differs");
  return state;
}

}  // namespace

fs::path block_file(const fs::path& folder, std::int64_t number) {
  return folder / fmt::format("block-{:06}.h5", number);
}

void write_block(const fs::path& folder, const BlockState& state, const ImageShape& image) {
  const auto path = block_file(folder, state.number);
  // Two starts on one folder must not write into one file.
  const fs::path partial = fmt::format("{}.{}.partial", path.string(), ::getpid());
  std::error_code ignored;
  fs::remove(partial, ignored);
  const auto call = static_cast<std::uint64_t>(state.magnitudes.size());
  auto file = h5::File::create(partial);
  file.write("/chains",
             {call, static_cast<std::uint64_t>(image.channels), static_cast<std::uint64_t>(image.height),
              static_cast<std::uint64_t>(image.width)},
             state.chains.data());
  file.write("/magnitudes", {call}, state.magnitudes.data());
  if (!state.latents.empty())
    file.write("/latents", {call, static_cast<std::uint64_t>(state.latents.size()) / call}, state.latents.data());
  std::vector<float> energy, magnitude, residual;
  for (const auto& column : state.columns) {
    energy.insert(energy.end(), column.energy.begin(), column.energy.end());
    magnitude.insert(magnitude.end(), column.magnitude.begin(), column.magnitude.end());
    residual.insert(residual.end(), column.residual.begin(), column.residual.end());
  }
  file.write("/energy", {state.columns.size(), call}, energy.data());
  file.write("/gradient_magnitude", {state.columns.size(), call}, magnitude.data());
  if (!residual.empty()) file.write("/residual", {state.columns.size(), call}, residual.data());
  file.write_attribute("/", "step", state.step);
  file.write_attribute("/", "checksum", checksum_of(state));
  file.seal();
  sync_path(partial);
  rename_durably(partial, path);
}

BlockState read_block(const fs::path& folder, std::int64_t number, std::int64_t call, const ImageShape& image) {
  const auto path = block_file(folder, number);
  try {
    return read_checked(h5::File::open(path), number, static_cast<std::uint64_t>(call), image);
  } catch (const Error& error) {
    damaged(path, error.what());
  }
}

void check_block(const fs::path& folder, std::int64_t number, std::int64_t call) {
  const auto path = block_file(folder, number);
  try {
    const auto file = h5::File::open(path);
    const auto shape = file.dataset("/chains").shape();
    if (shape.size() != 4) throw Error(ExitCode::input, "is of another shape");
    const auto extent = [&](std::size_t i) { return static_cast<std::int64_t>(shape[i]); };
    (void)read_checked(file, number, static_cast<std::uint64_t>(call == 0 ? extent(0) : call),
                       {extent(1), extent(2), extent(3)});
  } catch (const Error& error) {
    damaged(path, error.what());
  }
}

}  // namespace langrun
