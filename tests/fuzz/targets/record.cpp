// Records of images of an evaluation. What is taken packs to the same bytes, with more behind them where an older version
// wrote it.
#include <algorithm>

#include "jobs/evaluation_record.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  const auto bytes = std::as_bytes(fuzz::Octets(data, size));
  fuzz::taken({ExitCode::storage}, [&] {
    const auto again = packed(unpacked(bytes));
    fuzz::require(again.size() >= bytes.size() && std::equal(bytes.begin(), bytes.end(), again.begin()),
                  "a record packs to the same bytes");
  });
  return 0;
}
