#include "data/pickle_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "data/pickle_opcodes.h"

namespace langrun::pickle {
namespace {

// State dictionaries of the largest networks make some ten thousand values; these bound what a hostile file can cost.
constexpr std::size_t kMostValues = 2'000'000;
constexpr std::size_t kMostItems = 8'000'000;

}  // namespace

std::string printable(const std::string& text) {
  std::string out = text.substr(0, 100);
  for (auto& letter : out)
    if (letter < ' ' || letter > '~') letter = '?';
  return out;
}

std::size_t bytes_of(Element element) {
  switch (element) {
    case Element::u8:
    case Element::i8:
    case Element::boolean: return 1;
    case Element::f16:
    case Element::bf16:
    case Element::i16: return 2;
    case Element::f32:
    case Element::i32: return 4;
    case Element::f64:
    case Element::i64: return 8;
  }
  return 8;
}

const char* name_of(Element element) {
  constexpr const char* names[] = {"float16", "bfloat16", "float32", "float64", "uint8",
                                   "int8",    "int16",    "int32",   "int64",   "bool"};
  return names[static_cast<std::size_t>(element)];
}

void Machine::damaged(const std::string& what) const {
  throw Error(ExitCode::input, fmt::format("{}: damaged pickle at byte {}: {}", where_, at_, what),
              "the file is truncated or was not written by torch.save; fetch or save it again");
}

std::span<const std::byte> Machine::take(std::uint64_t count) {
  if (count > bytes_.size() - at_) damaged(fmt::format("{} bytes wanted, {} left", count, bytes_.size() - at_));
  const auto part = bytes_.subspan(at_, count);
  at_ += count;
  return part;
}

std::uint64_t Machine::number(std::size_t bytes) {
  const auto part = take(bytes);
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(part[i]);
  return value;
}

std::string Machine::text(std::uint64_t length) {
  const auto part = take(length);
  return {reinterpret_cast<const char*>(part.data()), part.size()};
}

std::string Machine::line() {
  const auto rest = bytes_.subspan(at_, std::min<std::size_t>(bytes_.size() - at_, 512));
  const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
  if (end == rest.end()) damaged("a name without an end");
  auto name = text(static_cast<std::uint64_t>(end - rest.begin()));
  take(1);
  return name;
}

Ref Machine::make(Value value) {
  if (values_.size() >= kMostValues) damaged("more values than any weights have");
  count_items(value.items.size());
  values_.push_back(std::move(value));
  return static_cast<Ref>(values_.size() - 1);
}

void Machine::count_items(std::size_t more) {
  items_ += more;
  if (items_ > kMostItems) damaged("longer lists than any weights have");
}

void Machine::push(Ref ref) {
  if (stack_.size() >= kMostValues) damaged("a deeper stack than any weights need");
  stack_.push_back(ref);
}

Ref Machine::make(Kind kind, std::int64_t integer) {
  Value value;
  value.kind = kind;
  value.integer = integer;
  return make(std::move(value));
}

Ref Machine::pop() {
  const auto ref = top();
  stack_.pop_back();
  return ref;
}

Ref Machine::top() const {
  // A mark guards what lies below it: Python keeps a stack per mark.
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) damaged("nothing left on the stack");
  return stack_.back();
}

std::vector<Ref> Machine::pop_to_mark() {
  if (marks_.empty()) damaged("no mark on the stack");
  const auto height = static_cast<std::ptrdiff_t>(marks_.back());
  marks_.pop_back();
  std::vector<Ref> items(stack_.begin() + height, stack_.end());
  stack_.resize(static_cast<std::size_t>(height));
  return items;
}

void Machine::push_items(Kind kind, std::size_t count) {
  std::vector<Ref> items(count);
  for (std::size_t i = count; i-- > 0;) items[i] = pop();
  Value value;
  value.kind = kind;
  value.items = std::move(items);
  push(make(std::move(value)));
}

void Machine::remember(std::uint64_t slot) {
  if (memo_.size() >= kMostValues) damaged("more memo slots than any weights need");
  memo_[slot] = top();
}

void Machine::recall(std::uint64_t slot) {
  const auto found = memo_.find(slot);
  if (found == memo_.end()) damaged(fmt::format("memo slot {} was never filled", slot));
  push(found->second);
}

Ref Machine::run() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  for (;;) {
    const auto op = static_cast<std::uint8_t>(number(1));
    if (op == kStop) return pop();
    if (!constant(op) && !container(op) && !memory(op)) structure(op);
  }
}

bool Machine::constant(std::uint8_t op) {
  const auto words = [&](std::size_t length_bytes) {
    Value value;
    value.kind = Kind::text;
    value.text = text(number(length_bytes));
    push(make(std::move(value)));
    return true;
  };
  const auto integer = [&](std::int64_t value) { return push(make(Kind::integer, value)), true; };
  switch (op) {
    case kNone: return push(make(Kind::none)), true;
    case kNewTrue: return push(make(Kind::boolean, 1)), true;
    case kNewFalse: return push(make(Kind::boolean, 0)), true;
    case kBinInt: return integer(static_cast<std::int32_t>(number(4)));
    case kBinInt1: return integer(static_cast<std::int64_t>(number(1)));
    case kBinInt2: return integer(static_cast<std::int64_t>(number(2)));
    case kLong1: {
      const auto length = number(1);
      Value value;
      value.kind = length > 8 ? Kind::big_integer : Kind::integer;
      value.text = text(length);
      for (std::size_t i = length; length <= 8 && i-- > 0;)
        value.integer = static_cast<std::int64_t>(static_cast<std::uint64_t>(value.integer) << 8 |
                                                  static_cast<std::uint8_t>(value.text[i]));
      // Two's complement of `length` bytes: carry the sign to the top.
      if (length > 0 && length < 8 && (value.text.back() & 0x80) != 0) value.integer -= std::int64_t{1} << (8 * length);
      return push(make(std::move(value))), true;
    }
    case kBinFloat: {
      std::uint64_t bits = 0;  // the one big-endian number of the format
      for (const auto byte : take(8)) bits = bits << 8 | std::to_integer<std::uint64_t>(byte);
      Value value;
      value.kind = Kind::real;
      value.real = std::bit_cast<double>(bits);
      return push(make(std::move(value))), true;
    }
    case kBinUnicode:
    case kBinString:
    case kBinBytes: return words(4);
    case kShortBinUnicode:
    case kShortBinString:
    case kShortBinBytes: return words(1);
    case kBinUnicode8: return words(8);
    default: return false;
  }
}

bool Machine::container(std::uint8_t op) {
  switch (op) {
    case kEmptyDict: return push(make(Kind::dict)), true;
    case kEmptyList:
    case kEmptySet: return push(make(Kind::list)), true;
    case kEmptyTuple: return push(make(Kind::tuple)), true;
    case kTuple1: return push_items(Kind::tuple, 1), true;
    case kTuple2: return push_items(Kind::tuple, 2), true;
    case kTuple3: return push_items(Kind::tuple, 3), true;
    case kTuple:
    case kFrozenSet: {
      Value value;
      value.kind = Kind::tuple;
      value.items = pop_to_mark();
      return push(make(std::move(value))), true;
    }
    case kAppend: {
      const Ref item = pop();
      return append(top(), {&item, 1}), true;
    }
    case kAppends:
    case kAddItems: {
      const auto items = pop_to_mark();
      return append(top(), items), true;
    }
    case kSetItem: {
      const Ref value = pop(), key = pop();
      const Ref pair[] = {key, value};
      return set_items(top(), pair), true;
    }
    case kSetItems: {
      const auto items = pop_to_mark();
      return set_items(top(), items), true;
    }
    default: return false;
  }
}

bool Machine::memory(std::uint8_t op) {
  switch (op) {
    case kBinPut: return remember(number(1)), true;
    case kLongBinPut: return remember(number(4)), true;
    case kMemoize: return remember(memo_.size()), true;
    case kBinGet: return recall(number(1)), true;
    case kLongBinGet: return recall(number(4)), true;
    case kMark:
      if (marks_.size() >= kMostValues) damaged("more marks than any weights need");
      return marks_.push_back(stack_.size()), true;
    case kPop:
      // Python: a POP right after a MARK takes the mark away.
      if (!marks_.empty() && marks_.back() == stack_.size())
        marks_.pop_back();
      else
        pop();
      return true;
    case kPopMark: return pop_to_mark(), true;
    case kDup: return push(top()), true;
    default: return false;
  }
}

void Machine::structure(std::uint8_t op) {
  switch (op) {
    case kProto:
      if (number(1) > 5) damaged("a pickle protocol above 5");
      return;
    case kFrame: return static_cast<void>(number(8));
    case kGlobal: {
      const auto module = line();
      return global(module, line());
    }
    case kStackGlobal: {
      const auto name = pop(), module = pop();
      if (values_[name].kind != Kind::text || values_[module].kind != Kind::text) damaged("a global without a name");
      return global(std::string(values_[module].text), std::string(values_[name].text));
    }
    case kReduce:
    case kNewObj: {
      const auto arguments = pop(), function = pop();
      return push(call(function, arguments));
    }
    case kBuild:
      // Attributes of an object, such as the version numbers (`_metadata`) of a state dictionary: none is needed.
      pop();
      return static_cast<void>(top());
    case kBinPersId: return push(load_storage(pop()));
    default: damaged(fmt::format("opcode 0x{:02x}, which weights do not use", op));
  }
}

void Machine::append(Ref target, std::span<const Ref> items) {
  auto& list = values_[target];
  if (list.kind != Kind::list) damaged("an append to what is no list");
  count_items(items.size());
  list.items.insert(list.items.end(), items.begin(), items.end());
}

void Machine::set_items(Ref target, std::span<const Ref> items) {
  auto& dict = values_[target];
  if (dict.kind != Kind::dict || items.size() % 2 != 0) damaged("items set in what is no dictionary");
  count_items(items.size());
  dict.items.insert(dict.items.end(), items.begin(), items.end());
}

}  // namespace langrun::pickle
