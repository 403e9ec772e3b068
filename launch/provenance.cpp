#include "launch/provenance.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/versions.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "distributed/communicator.h"
#include "distributed/versions.h"
#include "launch/version.h"

namespace langrun::launch {
namespace {

using Json = nlohmann::ordered_json;  // people read the file, so keys keep the order they are written in

std::filesystem::path file_of(const std::filesystem::path& run_dir) { return run_dir / "provenance.json"; }

/// Words that are not UTF-8 (file names may be anything) show a replacement sign instead of ending the job.
std::string text_of(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

/// The generations so far, an array.
Json generations_of(const std::filesystem::path& path) {
  std::error_code failed;
  const bool there = std::filesystem::exists(path, failed);
  if (failed)
    throw Error(ExitCode::storage, fmt::format("{} cannot be looked at: {}", path.string(), failed.message()),
                "check the disk that holds the run");
  if (!there) return Json::array();
  std::ifstream in(path, std::ios::binary);
  const auto file = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  bool good = file.is_object() && file.contains("generations") && file["generations"].is_array();
  for (std::size_t i = 0; good && i < file["generations"].size(); ++i) {
    const auto& entry = file["generations"][i];
    good = entry.is_object() && entry.contains("generation") && entry["generation"].is_number_integer();
  }
  if (good) return file["generations"];
  throw Error(ExitCode::storage, fmt::format("{} is damaged", path.string()),
              "move it away to go on; the run's history then starts anew");
}

std::int64_t newest(const Json& generations) {
  std::int64_t number = 0;
  for (const auto& entry : generations) number = std::max(number, entry["generation"].get<std::int64_t>());
  return number;
}

Json libraries() {
  Json versions{{"libtorch", torch_version()}, {"hdf5", h5::library_version()}, {"mpi", mpi_library_version()}};
  if (const auto cuda = cuda_version(); !cuda.empty()) versions["cuda"] = cuda;
  if (const auto nccl = nccl_library_version(); !nccl.empty()) versions["nccl"] = nccl;
  return versions;
}

}  // namespace

void record_start(const std::filesystem::path& run_dir, std::int64_t number, const Start& start) {
  auto generations = generations_of(file_of(run_dir));
  generations.push_back({{"generation", number},
                         {"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
                         {"first_step", start.first_step},
                         {"ranks", start.hosts.size()},
                         {"version", version()},
                         {"commit", commit()},
                         {"command", start.command},
                         {"hosts", start.hosts}});
  const Json file{{"version", version()},      {"commit", commit()},       {"command", start.command},
                  {"hosts", start.hosts},      {"devices", start.devices}, {"libraries", libraries()},
                  {"generations", generations}};
  write_durably(file_of(run_dir), text_of(file));
}

GenerationFolder begin_generation(const std::filesystem::path& run_dir, const std::string& state, const Start& start) {
  make_folder(run_dir);
  // Looked at first: a record that is damaged is to stop a start before it has taken anything.
  const auto folder = take_generation(run_dir, state, newest_generation(run_dir) + 1);
  link_generation(run_dir, state, folder);
  record_start(run_dir, folder.generation, start);
  return folder;
}

std::int64_t newest_generation(const std::filesystem::path& run_dir) {
  return newest(generations_of(file_of(run_dir)));
}

}  // namespace langrun::launch
