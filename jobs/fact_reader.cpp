#include "jobs/fact_reader.h"

#include <fmt/format.h>

#include <charconv>

#include "core/error.h"

namespace langrun {
namespace {

template <typename Number>
bool parsed(const std::string& text, Number& number) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc{} && end == text.data() + text.size();
}

}  // namespace

const std::string* FactReader::find(const char* key) const {
  const auto found = facts_.find(key);
  return found == facts_.end() ? nullptr : &found->second;
}

void FactReader::malformed(const char* key, const std::string& value, const char* expected) const {
  throw Error(ExitCode::input, fmt::format("{}: attribute {} is '{}', expected {}", where_, key, value, expected));
}

void FactReader::text(const char* key, std::string& field) const {
  if (const auto* value = find(key)) field = *value;
}

void FactReader::required(const char* key, std::string& field) const {
  if (find(key) == nullptr)
    throw Error(ExitCode::input, fmt::format("{} does not say its {}", where_, key),
                "import the weights again with `langrun weights import`");
  text(key, field);
}

void FactReader::integer(const char* key, std::int64_t& field) const {
  if (const auto* value = find(key); value != nullptr && !parsed(*value, field)) malformed(key, *value, "a whole number");
}

void FactReader::real(const char* key, double& field) const {
  if (const auto* value = find(key); value != nullptr && !parsed(*value, field)) malformed(key, *value, "a number");
}

void FactReader::flag(const char* key, bool& field) const {
  const auto* value = find(key);
  if (value == nullptr) return;
  if (*value != "true" && *value != "false") malformed(key, *value, "true or false");
  field = *value == "true";
}

}  // namespace langrun
