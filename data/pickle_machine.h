// The small part of Python's pickle language that state dictionaries use. Nothing is ever executed: a global is a name
// that is either on a short list or refused, and calling one on the list builds plain data here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace langrun::pickle {

/// Number of a value in its machine. Values refer to each other by number, so that a pickle that holds itself, or is
/// nested a million deep, costs neither a leak nor a stack.
using Ref = std::uint32_t;

enum class Kind : std::uint8_t {
  none,
  boolean,
  integer,
  big_integer,
  real,
  text,
  tuple,
  list,
  dict,
  global,
  storage,
  tensor
};

struct Value {
  Kind kind = Kind::none;
  std::int64_t integer = 0;  ///< integer, boolean; number of the storage or tensor
  double real = 0;
  std::string text;        ///< text; "module name" of a global; the bytes of a big integer
  std::vector<Ref> items;  ///< of a tuple or list; key, value, key, value, ... of a dictionary
};

/// Element types of PyTorch's storages that can be read.
enum class Element : std::uint8_t { f16, bf16, f32, f64, u8, i8, i16, i32, i64, boolean };
std::size_t bytes_of(Element element);
const char* name_of(Element element);
constexpr bool is_floating(Element element) { return element <= Element::f64; }

/// Memory that tensors are views of; the numbers themselves stand elsewhere in the file, under `key`.
struct Storage {
  std::string key;
  Element element = Element::f32;
  std::int64_t count = 0;  ///< elements
};

/// A view of a storage, checked: every element lies inside, and there are no more elements than the storage has.
struct Tensor {
  std::size_t storage = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape, stride;
};

/// A text from a file as it may stand in a one-line message: at most 100 letters, other bytes as '?'.
std::string printable(const std::string& text);

/// Runs pickles one after the other over the same bytes.
class Machine {
 public:
  /// `where` names the file in messages. `bytes` must outlive the machine.
  Machine(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  /// Runs the pickle at position() to its end and returns its value. Throws Error(input) for a truncated or malformed
  /// pickle, an unknown opcode, or a global that weights do not need, naming it.
  Ref run();
  std::size_t position() const { return at_; }

  const Value& value(Ref ref) const { return values_[ref]; }
  const std::vector<Storage>& storages() const { return storages_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  [[noreturn]] void damaged(const std::string& what) const;
  std::span<const std::byte> take(std::uint64_t count);
  std::uint64_t number(std::size_t bytes);
  std::string text(std::uint64_t length);
  std::string line();

  Ref make(Value value);
  Ref make(Kind kind, std::int64_t integer = 0);
  void count_items(std::size_t more);
  void push(Ref ref);
  Ref pop();
  Ref top() const;
  std::vector<Ref> pop_to_mark();
  void push_items(Kind kind, std::size_t count);
  void remember(std::uint64_t slot);
  void recall(std::uint64_t slot);

  bool constant(std::uint8_t op);
  bool container(std::uint8_t op);
  bool memory(std::uint8_t op);
  void structure(std::uint8_t op);
  void append(Ref target, std::span<const Ref> items);
  void set_items(Ref target, std::span<const Ref> items);
  void global(const std::string& module, const std::string& name);
  Ref call(Ref function, Ref arguments);
  Ref ordered(const Value& arguments);
  Ref rebuild_tensor(const Value& arguments);
  Ref load_storage(Ref id);
  std::vector<std::int64_t> integers(Ref ref) const;

  std::span<const std::byte> bytes_;
  std::string where_;
  std::size_t at_ = 0;
  std::vector<Value> values_;
  std::size_t items_ = 0;  // in all values together
  std::vector<Ref> stack_;
  std::vector<std::size_t> marks_;  // stack heights
  std::unordered_map<std::uint64_t, Ref> memo_;
  std::vector<Storage> storages_;
  std::unordered_map<std::string, std::size_t> storage_by_key_;
  std::vector<Tensor> tensors_;
};

}  // namespace langrun::pickle
