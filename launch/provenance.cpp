#include "launch/provenance.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/versions.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "data/json_depth.h"
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
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto file = nested_too_deep(text) ? Json() : Json::parse(text, nullptr, /*allow_exceptions=*/false);
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

std::string with_start(const std::filesystem::path& run_dir, std::int64_t number, const Start& start) {
  auto generations = generations_of(file_of(run_dir));
  generations.push_back({{"generation", number},
                         {"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
                         {"looked", start.look.time},
                         {"first_step", start.first_step},
                         {"ranks", start.hosts.size()},
                         {"version", version()},
                         {"commit", commit()},
                         {"command", start.command},
                         {"hosts", start.hosts}});
  const Json file{{"version", version()},      {"commit", commit()},       {"command", start.command},
                  {"hosts", start.hosts},      {"devices", start.devices}, {"libraries", libraries()},
                  {"generations", generations}};
  return text_of(file);
}

// When the start of that generation looked; nothing where it has not recorded itself.
std::optional<double> look_of(const std::filesystem::path& run_dir, std::int64_t generation) {
  for (const auto& entry : generations_of(file_of(run_dir)))
    if (entry["generation"] == generation && entry.contains("looked") && entry["looked"].is_number())
      return entry["looked"].get<double>();
  return std::nullopt;
}

// A start that took the state since we looked was faster at its set-up; it is the newer one if it looked later.
void refuse_if_older(const std::filesystem::path& run_dir, const GenerationFolder& there, const StartLook& own) {
  if (own.time <= 0 || there.generation <= own.generation) return;
  // It records itself next to taking it; one that was killed in between leaves nobody to give way to.
  constexpr int kTries = 50;
  constexpr auto kPause = std::chrono::milliseconds(100);
  auto look = look_of(run_dir, there.generation);
  for (int tries = 0; !look && tries < kTries; ++tries) {
    std::this_thread::sleep_for(kPause);
    look = look_of(run_dir, there.generation);
  }
  if (look && *look > own.time) throw overtaken_error(run_dir);
}

}  // namespace

StartLook look_for_starts(const std::filesystem::path& run_dir, const std::string& state) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration<double>(now).count(), newest_generation_folder(run_dir, state).generation};
}

void record_start(const std::filesystem::path& run_dir, std::int64_t number, const Start& start) {
  write_durably(file_of(run_dir), with_start(run_dir, number, start));
}

GenerationFolder begin_generation(const std::filesystem::path& run_dir, const std::string& state, const Start& start) {
  make_folder(run_dir);
  // Looked at first: a record that is damaged is to stop a start before it has taken anything.
  const auto folder =
      take_generation(run_dir, state, newest_generation(run_dir) + 1,
                      [&](const GenerationFolder& there) { refuse_if_older(run_dir, there, start.look); });
  publish_from(folder, file_of(run_dir), with_start(run_dir, folder.generation, start));
  link_generation(run_dir, state, folder);
  return folder;
}

std::int64_t newest_generation(const std::filesystem::path& run_dir) {
  return newest(generations_of(file_of(run_dir)));
}

}  // namespace langrun::launch
