#include "core/schedule.h"

#include <fmt/format.h>

#include <charconv>
#include <sstream>

#include "core/error.h"

namespace langrun {
namespace {

template <typename T>
bool parse_whole(const std::string& text, T& value) {
  const auto end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  return failure == std::errc{} && stop == end;
}

}  // namespace

double Schedule::at(std::int64_t step) const {
  // Who sets a rate of 0 over a preset with drops wants nothing to be learned.
  if (start == 0) return 0;
  double rate = start;
  for (const auto& [from, dropped] : drops)
    if (step > from) rate = dropped;
  return rate;
}

Schedule parse_schedule(double start, const std::string& drops) {
  Schedule schedule{start, {}};
  std::istringstream in(drops);
  for (std::string part; std::getline(in, part, ',');) {
    const auto colon = part.find(':');
    std::int64_t step = 0;
    double rate = 0;
    const bool read = colon != std::string::npos && parse_whole(part.substr(0, colon), step) &&
                      parse_whole(part.substr(colon + 1), rate);
    const auto before = schedule.drops.empty() ? 0 : schedule.drops.back().first;
    if (!read || step <= before || !(rate > 0))
      throw Error(ExitCode::usage,
                  fmt::format("learning-rate drops '{}': '{}' is not STEP:RATE with rising steps", drops, part),
                  "for example 50000:1e-5,75000:1e-6");
    schedule.drops.emplace_back(step, rate);
  }
  return schedule;
}

}  // namespace langrun
