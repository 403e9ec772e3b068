#include "data/pickle_tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "core/error.h"

namespace langrun::pickle {
namespace {

constexpr int kDeepest = 8;
constexpr std::size_t kLongestName = 256;
// A compiled model inside a data-parallel one, or the other way round.
constexpr std::string_view kWrappers[] = {"_orig_mod.", "module.", "_orig_mod."};
constexpr std::size_t kMostVisits = 1'000'000;  // shared dictionaries can be reached on exponentially many ways

/// Names of modules and tensors are short and printable; what is not is no weight, and must not reach a message.
bool ordinary(const std::string& name) {
  return name.size() <= kLongestName &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// Walks dictionaries and lists that hold dictionaries of tensors, from the outside in.
class Search {
 public:
  explicit Search(const Machine& machine) : machine_(machine) {}

  void visit(Ref ref, const std::string& key, int depth) {
    const auto& value = machine_.value(ref);
    if (value.kind != Kind::dict || depth > kDeepest) return;
    visits_ += 1 + value.items.size();
    if (visits_ > kMostVisits) return;
    FoundDict here{key, tensors_of(value)};
    if (!here.tensors.empty()) found.push_back(std::move(here));
    for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
      const auto& name = machine_.value(value.items[i]);
      if (name.kind != Kind::text || !ordinary(name.text)) continue;
      visit(value.items[i + 1], key.empty() ? name.text : key + "." + name.text, depth + 1);
    }
  }

  std::vector<FoundDict> found;

 private:
  NamedTensors tensors_of(const Value& dict) {
    NamedTensors out;
    std::unordered_map<std::string, std::size_t> places;
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const auto &name = machine_.value(dict.items[i]), &tensor = machine_.value(dict.items[i + 1]);
      if (name.kind != Kind::text || tensor.kind != Kind::tensor || !ordinary(name.text)) continue;
      // As in Python, a key that is set twice keeps its place and takes the later value.
      const auto [place, fresh] = places.try_emplace(name.text, out.size());
      const auto number = static_cast<std::size_t>(tensor.integer);
      if (fresh)
        out.emplace_back(name.text, number);
      else
        out[place->second].second = number;
    }
    return out;
  }

  const Machine& machine_;
  std::size_t visits_ = 0;
};

void strip_wrappers(NamedTensors& tensors) {
  for (const std::string_view prefix : kWrappers) {
    const bool all =
        std::all_of(tensors.begin(), tensors.end(), [&](const auto& t) { return t.first.starts_with(prefix); });
    if (!all) continue;
    for (auto& tensor : tensors) tensor.first.erase(0, prefix.size());
  }
}

float from_half(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, fraction = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = static_cast<float>(fraction) * 0x1p-24f;
  return sign != 0 ? -small : small;
}

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float real_at(Element element, const std::byte* at) {
  switch (element) {
    case Element::f16: return from_half(load<std::uint16_t>(at));
    case Element::bf16: return std::bit_cast<float>(static_cast<std::uint32_t>(load<std::uint16_t>(at)) << 16);
    case Element::f64: return static_cast<float>(load<double>(at));
    default: return load<float>(at);
  }
}

std::int64_t integer_at(Element element, const std::byte* at) {
  switch (element) {
    case Element::u8: return load<std::uint8_t>(at);
    case Element::i8: return load<std::int8_t>(at);
    case Element::i16: return load<std::int16_t>(at);
    case Element::i32: return load<std::int32_t>(at);
    case Element::boolean: return load<std::uint8_t>(at) != 0;
    default: return load<std::int64_t>(at);
  }
}

/// Calls use(element number in the storage) for each element of the tensor, row-major.
template <typename Use>
void each_element(const Tensor& tensor, std::int64_t count, Use use) {
  std::vector<std::int64_t> index(tensor.shape.size(), 0);
  std::int64_t at = tensor.offset;
  for (std::int64_t done = 0; done < count; ++done) {
    use(static_cast<std::size_t>(at));
    for (std::size_t d = index.size(); d-- > 0;) {
      at += tensor.stride[d];
      if (++index[d] < tensor.shape[d]) break;
      at -= tensor.stride[d] * tensor.shape[d];
      index[d] = 0;
    }
  }
}

}  // namespace

FoundDict find_state_dict(const Machine& machine, Ref root, const std::string& key, const std::string& where) {
  if (machine.value(root).kind == Kind::tensor)
    throw Error(ExitCode::input, fmt::format("{} holds a single tensor, not a dictionary of them", where),
                "save the weights: torch.save(model.state_dict(), FILE)");
  Search search(machine);
  search.visit(root, "", 0);
  std::vector<std::string> keys;
  for (const auto& found : search.found) keys.push_back(found.key.empty() ? "(outermost)" : found.key);
  if (keys.empty())
    throw Error(ExitCode::input, fmt::format("{} holds no dictionary of tensors", where),
                "save the weights: torch.save(model.state_dict(), FILE)");
  const auto named = [&](const std::string& wanted) {
    return std::find_if(search.found.begin(), search.found.end(), [&](const auto& f) { return f.key == wanted; });
  };
  auto chosen = search.found.end();
  if (!key.empty()) {
    chosen = named(key);
  } else if (chosen = named(""); chosen == search.found.end()) {
    chosen = named("state_dict");
    if (chosen == search.found.end() && search.found.size() == 1) chosen = search.found.begin();
  }
  if (chosen == search.found.end()) {
    keys.resize(std::min<std::size_t>(keys.size(), 20));
    throw Error(ExitCode::input,
                key.empty()
                    ? fmt::format("{} holds several dictionaries of tensors: {}", where, fmt::join(keys, ", "))
                    : fmt::format("{} has no dictionary of tensors '{}'; it has {}", where, key, fmt::join(keys, ", ")),
                "say which with --key");
  }
  strip_wrappers(chosen->tensors);
  return std::move(*chosen);
}

PickledTensor decode(const std::string& name, const Tensor& tensor, const Storage& storage,
                     std::span<const std::byte> bytes) {
  PickledTensor out;
  out.name = name;
  out.shape = tensor.shape;
  out.type = name_of(storage.element);
  const auto count = elements(tensor.shape);
  const auto width = bytes_of(storage.element);
  if (is_floating(storage.element)) {
    out.reals.reserve(static_cast<std::size_t>(count));
    each_element(tensor, count,
                 [&](std::size_t at) { out.reals.push_back(real_at(storage.element, &bytes[at * width])); });
  } else {
    out.integers.reserve(static_cast<std::size_t>(count));
    each_element(tensor, count,
                 [&](std::size_t at) { out.integers.push_back(integer_at(storage.element, &bytes[at * width])); });
  }
  return out;
}

}  // namespace langrun::pickle
