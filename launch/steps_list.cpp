#include "launch/steps_list.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/error.h"

namespace langrun::launch {
namespace {

template <typename T>
std::vector<T> rising(const std::string& text, const std::string& key, T least, T most, const char* kind) {
  std::vector<T> values;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto word = text.substr(at, end - at);
    T value{};
    const auto [stop, failure] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (failure != std::errc{} || stop != word.data() + word.size() || !(value >= least) || !(value <= most))
      throw Error(ExitCode::usage, fmt::format("--{} {}: '{}' is not {}", key, text, word, kind),
                  fmt::format("separate them by commas: --{} 1,10,100", key));
    if (!values.empty() && value <= values.back())
      throw Error(ExitCode::usage, fmt::format("--{} {}: {} does not rise above {}", key, text, value, values.back()),
                  "list them in rising order, each once");
    values.push_back(value);
    at = end + 1;
  }
  return values;
}

}  // namespace

std::vector<std::int64_t> rising_steps(const std::string& text, const std::string& key) {
  return rising<std::int64_t>(text, key, 0, 100'000'000, "a number of steps from 0 to 100000000");
}

std::vector<double> rising_numbers(const std::string& text, const std::string& key) {
  return rising<double>(text, key, 1e-12, 1e12, "a number from 1e-12 to 1e12");
}

}  // namespace langrun::launch
