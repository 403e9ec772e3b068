// IDX files of images and labels, packed by gzip and not, alone and as a source of images.
#include "data/idx.h"

#include "data/image_source.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  static const fuzz::Folder folder;
  static const std::uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 1};
  fuzz::Octets input(data, size);
  const auto choice = fuzz::take_choice(input);
  const bool packed = (choice & 1) != 0;
  const auto kind = (choice & 2) != 0 ? IdxKind::labels : IdxKind::images;
  idx_kind("file", input);
  fuzz::taken({ExitCode::input}, [&] { check_idx_length(parse_idx(input, kind, "input"), input.size(), "input"); });
  const auto path = folder.put(packed ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte", input);
  fuzz::taken({ExitCode::input}, [&] {
    const auto header = read_idx_header(path, kind);
    const auto values = read_idx_values(path, kind);
    fuzz::require(values.size() == header.count * header.height * header.width, "as many values as the header says");
  });
  if (kind == IdxKind::labels) return 0;
  folder.put("train-labels-idx1-ubyte", labels);
  fuzz::taken({ExitCode::input}, [&] {
    const auto source = find_images(path);
    SourceReader reader(source, 0, source.entries.size());
    for (SourceReader::Item item; reader.next(item);) decode_entry(source.entries[item.index], item.bytes, {});
  });
  return 0;
}
