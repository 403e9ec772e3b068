// manifest.json, as it stands and with the checksum of its own words put right.
#include <nlohmann/json.hpp>

#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/json_depth.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace langrun;

void read(const std::filesystem::path& checkpoint) {
  fuzz::taken({ExitCode::input}, [&] {
    for (const auto& file : read_manifest(checkpoint).files)
      fuzz::require(file.name.size() < (1u << 30), "names are read");
  });
  problems_of(checkpoint);
}

/// The text with its own checksum mended; empty where it is no object.
std::string mended(std::string_view text) {
  if (nested_too_deep(text)) return {};
  auto document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return {};
  document.erase("xxh3_128");
  document["xxh3_128"] = checksum_of_text(document.dump());
  return document.dump();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::Folder folder;
  const auto checkpoint = folder / "00000005";
  static const bool made =
      std::filesystem::create_directory(checkpoint) && !folder.put("00000005/weights.h5", {}).empty();
  fuzz::require(made, "a checkpoint's folder can be made");
  const auto text = mended(fuzz::text_of({data, size}));
  folder.put("00000005/manifest.json", {data, size});
  read(checkpoint);
  if (text.empty()) return 0;
  folder.put("00000005/manifest.json", {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  read(checkpoint);
  return 0;
}
