// provenance.json and metrics.jsonl, as a resume reads them.
#include "launch/metrics.h"
#include "launch/provenance.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  static const fuzz::Folder folder;
  fuzz::Octets input(data, size);
  const auto choice = fuzz::take_choice(input);
  if ((choice & 1) == 0) {
    folder.put("provenance.json", input);
    fuzz::taken({ExitCode::storage}, [&] { launch::newest_generation(folder / ""); });
    return 0;
  }
  const auto path = folder.put("metrics.jsonl", input);
  const std::int64_t step = choice >> 1;
  fuzz::taken({ExitCode::storage}, [&] {
    const auto first = launch::MetricsWriter::truncate_after(path, step);
    const auto second = launch::MetricsWriter::truncate_after(path, step);
    fuzz::require(second.kept == first.kept && second.dropped == 0, "what a resume keeps, the next one keeps");
  });
  return 0;
}
