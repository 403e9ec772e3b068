// Lists of numbers on the command line.
#include "launch/steps_list.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  const std::string text(fuzz::text_of({data, size}));
  const auto check = [](const auto& values) {
    for (std::size_t i = 1; i < values.size(); ++i) fuzz::require(values[i - 1] < values[i], "steps rise");
  };
  fuzz::taken({ExitCode::usage}, [&] { check(launch::rising_steps(text, "at")); });
  fuzz::taken({ExitCode::usage}, [&] { check(launch::rising_numbers(text, "at")); });
  return 0;
}
