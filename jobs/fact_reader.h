// Reads attributes of a file of weights, one by one, into fields; what is not there leaves its field as it is.
#pragma once

#include <cstdint>
#include <string>

#include "data/weights_file.h"

namespace langrun {

class FactReader {
 public:
  /// Both must outlive it; `where` names the file in messages.
  FactReader(const WeightFacts& facts, const std::string& where) : facts_(facts), where_(where) {}

  void text(const char* key, std::string& field) const;
  /// Throws Error(input) where it is missing.
  void required(const char* key, std::string& field) const;
  /// These three throw Error(input) for another kind of value.
  void integer(const char* key, std::int64_t& field) const;
  void real(const char* key, double& field) const;
  void flag(const char* key, bool& field) const;

 private:
  const std::string* find(const char* key) const;
  [[noreturn]] void malformed(const char* key, const std::string& value, const char* expected) const;

  const WeightFacts& facts_;
  const std::string& where_;
};

}  // namespace langrun
