// Whole PyTorch files, zip and legacy.
#include "data/pickle.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  static const fuzz::Folder folder;
  const auto path = folder.put("weights.pth", {data, size});
  looks_like_pytorch(path);
  fuzz::taken({ExitCode::input}, [&] {
    std::uint64_t bytes = 0;
    for (const auto& tensor : read_pytorch(path).tensors) bytes += 4 * tensor.reals.size() + 8 * tensor.integers.size();
    fuzz::require(bytes <= 64 * size + (16u << 20), "memory is bounded by the file's size");
  });
  return 0;
}
