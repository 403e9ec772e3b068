#include "data/pickle_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace langrun::pickle {
namespace {

// State dictionaries of the largest networks make some ten thousand values; these bound what a hostile file can cost.
constexpr std::size_t kMostValues = 2'000'000;
constexpr std::size_t kMostItems = 8'000'000;
constexpr std::size_t kMostArguments = 64;
constexpr std::size_t kMostDimensions = 16;
constexpr std::size_t kLongestKey = 256;

/// Opcodes by the names of Python's pickletools.
enum Op : std::uint8_t {
  kMark = '(', kStop = '.', kPop = '0', kPopMark = '1', kDup = '2', kBinFloat = 'G', kBinInt = 'J', kBinInt1 = 'K',
  kBinInt2 = 'M', kNone = 'N', kBinPersId = 'Q', kReduce = 'R', kBinString = 'T', kShortBinString = 'U',
  kBinUnicode = 'X', kAppend = 'a', kBuild = 'b', kGlobal = 'c', kAppends = 'e', kBinGet = 'h', kLongBinGet = 'j',
  kBinPut = 'q', kLongBinPut = 'r', kSetItem = 's', kTuple = 't', kSetItems = 'u', kEmptyDict = '}',
  kEmptyList = ']', kEmptyTuple = ')', kProto = 0x80, kNewObj = 0x81, kTuple1 = 0x85, kTuple2 = 0x86, kTuple3 = 0x87,
  kNewTrue = 0x88, kNewFalse = 0x89, kLong1 = 0x8a, kBinBytes = 'B', kShortBinBytes = 'C', kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d, kEmptySet = 0x8f, kAddItems = 0x90, kFrozenSet = 0x91, kStackGlobal = 0x93, kMemoize = 0x94,
  kFrame = 0x95,
};

struct StorageName {
  const char* global;
  Element element;
};
constexpr StorageName kStorageNames[] = {
    {"torch HalfStorage", Element::f16},    {"torch BFloat16Storage", Element::bf16}, {"torch FloatStorage", Element::f32},
    {"torch DoubleStorage", Element::f64},  {"torch ByteStorage", Element::u8},       {"torch CharStorage", Element::i8},
    {"torch ShortStorage", Element::i16},   {"torch IntStorage", Element::i32},       {"torch LongStorage", Element::i64},
    {"torch BoolStorage", Element::boolean}, {"torch.storage UntypedStorage", Element::u8},
    {"torch UntypedStorage", Element::u8},
};

std::optional<Element> storage_element(const std::string& global) {
  for (const auto& entry : kStorageNames)
    if (global == entry.global) return entry.element;
  return std::nullopt;
}

/// Everything that may be named besides storages. Calling one makes a dictionary, a list, a tuple or a tensor.
constexpr const char* kGlobals[] = {
    "collections OrderedDict", "collections Counter", "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state", "torch._tensor _rebuild_from_type_v2",
    "torch Size", "torch device", "torch Tensor", "torch.nn.parameter Parameter", "builtins set", "__builtin__ set",
    "builtins frozenset", "__builtin__ frozenset", "builtins list", "__builtin__ list", "builtins dict",
    "__builtin__ dict", "builtins int", "__builtin__ int", "__builtin__ long", "builtins float", "__builtin__ float",
    "torch float16", "torch bfloat16", "torch float32", "torch float64", "torch uint8", "torch int8", "torch int16",
    "torch int32", "torch int64", "torch bool", "torch strided",
};

/// A name from the file as it may stand in a one-line message.
std::string shown(const std::string& name) {
  std::string out = name.substr(0, 100);
  for (auto& letter : out)
    if (letter < ' ' || letter > '~') letter = '?';
  return out;
}

bool known(const std::string& global) {
  return storage_element(global) || std::any_of(std::begin(kGlobals), std::end(kGlobals),
                                                [&](const char* name) { return global == name; });
}

}  // namespace

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
      if (!marks_.empty() && marks_.back() == stack_.size()) marks_.pop_back();
      else pop();
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

void Machine::global(const std::string& module, const std::string& name) {
  Value value;
  value.kind = Kind::global;
  value.text = module + " " + name;
  if (!known(value.text))
    throw Error(ExitCode::input,
                fmt::format("{}: the pickle asks for '{}.{}', which weights do not need; refused", where_, shown(module), shown(name)),
                "nothing was executed; save the weights alone: torch.save(model.state_dict(), FILE)");
  push(make(std::move(value)));
}

Ref Machine::call(Ref function, Ref arguments) {
  if (values_[function].kind != Kind::global || values_[arguments].kind != Kind::tuple) damaged("a call of what cannot be called");
  if (values_[arguments].items.size() > kMostArguments) damaged("a call with more arguments than any function takes");
  const std::string name = values_[function].text;
  // A copy: making values may move the table they stand in.
  const Value given = values_[arguments];
  const auto needs = [&](std::size_t count) {
    if (given.items.size() < count) damaged(fmt::format("{} called with {} arguments", name, given.items.size()));
  };
  if (name == "torch._utils _rebuild_tensor" || name == "torch._utils _rebuild_tensor_v2") return needs(4), rebuild_tensor(given);
  if (name.starts_with("torch._utils _rebuild_parameter")) return needs(1), given.items[0];
  // (function, class, arguments, attributes) of a tensor that carries Python attributes. The function is called only
  // if it is one of the two above, so that calls do not nest.
  if (name == "torch._tensor _rebuild_from_type_v2") {
    needs(3);
    const auto& inner = values_[given.items[0]];
    const Value inner_arguments = values_[given.items[2]];
    if (inner.kind != Kind::global || !inner.text.starts_with("torch._utils _rebuild_tensor") ||
        inner_arguments.kind != Kind::tuple || inner_arguments.items.size() < 4)
      damaged("a tensor of an unknown kind");
    return rebuild_tensor(inner_arguments);
  }
  if (name == "collections OrderedDict" || name == "collections Counter" || name.ends_with(" dict")) return ordered(given);
  if (name == "torch Size" || name.ends_with("set") || name.ends_with(" list")) {
    Value made;
    made.kind = name == "torch Size" ? Kind::tuple : Kind::list;
    if (!given.items.empty()) made.items = values_[given.items[0]].items;
    return make(std::move(made));
  }
  if (name == "torch device" || name.ends_with(" int") || name.ends_with(" long") || name.ends_with(" float"))
    return needs(1), given.items[0];
  damaged(fmt::format("a call of {}", name));
}

Ref Machine::ordered(const Value& arguments) {
  Value made;
  made.kind = Kind::dict;
  if (!arguments.items.empty()) {
    const auto& source = values_[arguments.items[0]];
    if (source.kind == Kind::dict) {
      made.items = source.items;
    } else if (source.kind == Kind::list || source.kind == Kind::tuple) {
      for (const auto pair : source.items) {
        if (values_[pair].items.size() != 2) damaged("a dictionary made of what are no pairs");
        made.items.insert(made.items.end(), values_[pair].items.begin(), values_[pair].items.end());
      }
    } else {
      damaged("a dictionary made of what holds no items");
    }
  }
  return make(std::move(made));
}

std::vector<std::int64_t> Machine::integers(Ref ref) const {
  const auto& tuple = values_[ref];
  if ((tuple.kind != Kind::tuple && tuple.kind != Kind::list) || tuple.items.size() > kMostDimensions) damaged("a tensor's shape is no short tuple");
  std::vector<std::int64_t> out;
  for (const auto item : tuple.items) {
    if (values_[item].kind != Kind::integer || values_[item].integer < 0) damaged("a tensor's shape holds a negative number or none");
    out.push_back(values_[item].integer);
  }
  return out;
}

/// (storage, offset, shape, stride, ...): the view must lie inside its storage and be no larger than it.
Ref Machine::rebuild_tensor(const Value& arguments) {
  const auto &storage = values_[arguments.items[0]], &offset = values_[arguments.items[1]];
  if (storage.kind != Kind::storage || offset.kind != Kind::integer || offset.integer < 0) damaged("a tensor without a storage");
  Tensor tensor;
  tensor.storage = static_cast<std::size_t>(storage.integer);
  tensor.offset = offset.integer;
  tensor.shape = integers(arguments.items[2]);
  tensor.stride = integers(arguments.items[3]);
  if (tensor.shape.size() != tensor.stride.size()) damaged("a tensor's shape and stride differ in length");
  const auto room = storages_[tensor.storage].count;
  std::int64_t count = 1, last = tensor.offset;
  bool overflow = false;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t step = 0;
    overflow |= __builtin_mul_overflow(count, tensor.shape[i], &count);
    overflow |= __builtin_mul_overflow(std::max<std::int64_t>(tensor.shape[i] - 1, 0), tensor.stride[i], &step);
    overflow |= __builtin_add_overflow(last, step, &last);
  }
  if (overflow || count > room || (count > 0 && last >= room)) damaged("a tensor that does not fit its storage");
  tensors_.push_back(std::move(tensor));
  return make(Kind::tensor, static_cast<std::int64_t>(tensors_.size() - 1));
}

/// ("storage", type, key, device, elements[, view]).
Ref Machine::load_storage(Ref id) {
  const auto& items = values_[id].items;
  if (values_[id].kind != Kind::tuple || items.size() < 5 || values_[items[0]].text != "storage" ||
      values_[items[1]].kind != Kind::global || values_[items[2]].kind != Kind::text || values_[items[2]].text.size() > kLongestKey || values_[items[4]].kind != Kind::integer)
    damaged("a reference to something that is no storage");
  const auto element = storage_element(values_[items[1]].text);
  if (!element) damaged(fmt::format("a storage of type {}", values_[items[1]].text));
  if (items.size() > 5 && values_[items[5]].kind != Kind::none) damaged("a view of a storage, as the first PyTorch versions wrote them");
  Storage storage{values_[items[2]].text, *element, values_[items[4]].integer};
  if (storage.count < 0 || storage.count > std::int64_t{1} << 48) damaged("a storage of an impossible size");
  const auto [place, fresh] = storage_by_key_.try_emplace(storage.key, storages_.size());
  if (fresh) storages_.push_back(storage);
  const auto& first = storages_[place->second];
  if (first.element != storage.element || first.count != storage.count) damaged("a storage that is described twice, differently");
  return make(Kind::storage, static_cast<std::int64_t>(place->second));
}

}  // namespace langrun::pickle
