// Tars, compressed and nested, as sources of images. Paths stay within the source, and bytes within the file.
#include "data/archive_walk.h"
#include "data/image_source.h"
#include "tests/fuzz/fuzz.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

constexpr std::size_t kBlock = 512;

/// Whatever stands where a tar's header may stand gets the checksum that it should have.
void mend_checksums(std::span<std::uint8_t> tar) {
  for (std::size_t at = 0; at + kBlock <= tar.size(); at += kBlock) {
    const auto block = tar.subspan(at, kBlock);
    if (std::memcmp(block.data() + 257, "ustar", 5) != 0) continue;
    unsigned sum = 8 * ' ';
    for (std::size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? 0 : block[i];
    char text[16];
    std::snprintf(text, sizeof text, "%06o", sum);
    std::memcpy(block.data() + 148, text, 7);
    block[155] = ' ';
  }
}

bool leads_out(const std::string& path) {
  for (const auto& part : std::filesystem::path(path))
    if (part == "..") return true;
  return path.starts_with("/");
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 8 != 0) mend_checksums({data, size});
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  constexpr std::uint64_t kMostEntries = 64;
  static const fuzz::Folder folder;
  const auto path = folder.put("set.tar", {data, size});
  fuzz::taken({ExitCode::input}, [&] {
    const auto source = find_images(path);
    for (const auto& entry : source.entries) {
      fuzz::require(!leads_out(entry.path), "paths stay within the source");
      if (entry.ordinal == SourceEntry::kNotStreamed)
        fuzz::require(entry.offset <= size && entry.size <= size - entry.offset, "bytes stay within the file");
    }
    SourceReader reader(source, 0, std::min<std::uint64_t>(source.entries.size(), kMostEntries));
    for (SourceReader::Item item; reader.next(item);)
      fuzz::require(item.bytes.size() == source.entries[item.index].size, "an entry has the bytes that it says");
  });
  return 0;
}
