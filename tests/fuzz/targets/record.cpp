// Records of images of an evaluation. What is taken packs to the same bytes; behind those of an older version, which
// did not keep the judge's energies, comes one list of them that says so.
#include <algorithm>
#include <cmath>

#include "jobs/evaluation_record.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  const auto bytes = std::as_bytes(fuzz::Octets(data, size));
  fuzz::taken({ExitCode::storage}, [&] {
    const auto record = unpacked(bytes);
    const auto again = packed(record);
    fuzz::require(again.size() >= bytes.size() && std::equal(bytes.begin(), bytes.end(), again.begin()),
                  "a record packs to the same bytes");
    if (again.size() == bytes.size()) return;
    fuzz::require(again.size() - bytes.size() == sizeof(std::uint64_t) + 2 * sizeof(float) * record.judge.size(),
                  "an older record lacks the list of energies and nothing else");
    for (const auto& check : record.judge)
      fuzz::require(std::isnan(check.first_energy) && std::isnan(check.last_energy),
                    "an older record knows no energies");
  });
  return 0;
}
