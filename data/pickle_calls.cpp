// What a pickle may name and call: a short list, all of which make plain data here.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "data/pickle_machine.h"

namespace langrun::pickle {
namespace {

// Bounds on what a hostile file can ask for.
constexpr std::size_t kMostArguments = 64;
constexpr std::size_t kMostDimensions = 16;
constexpr std::size_t kLongestKey = 256;

struct StorageName {
  const char* global;
  Element element;
};
constexpr StorageName kStorageNames[] = {
    {"torch HalfStorage", Element::f16},
    {"torch BFloat16Storage", Element::bf16},
    {"torch FloatStorage", Element::f32},
    {"torch DoubleStorage", Element::f64},
    {"torch ByteStorage", Element::u8},
    {"torch CharStorage", Element::i8},
    {"torch ShortStorage", Element::i16},
    {"torch IntStorage", Element::i32},
    {"torch LongStorage", Element::i64},
    {"torch BoolStorage", Element::boolean},
    {"torch.storage UntypedStorage", Element::u8},
    {"torch UntypedStorage", Element::u8},
};

std::optional<Element> storage_element(const std::string& global) {
  for (const auto& entry : kStorageNames)
    if (global == entry.global) return entry.element;
  return std::nullopt;
}

/// Everything that may be named besides storages. Calling one makes a dictionary, a list, a tuple or a tensor.
constexpr const char* kGlobals[] = {
    "collections OrderedDict",
    "collections Counter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_parameter_with_state",
    "torch._tensor _rebuild_from_type_v2",
    "torch Size",
    "torch device",
    "torch Tensor",
    "torch.nn.parameter Parameter",
    "builtins set",
    "__builtin__ set",
    "builtins frozenset",
    "__builtin__ frozenset",
    "builtins list",
    "__builtin__ list",
    "builtins dict",
    "__builtin__ dict",
    "builtins int",
    "__builtin__ int",
    "__builtin__ long",
    "builtins float",
    "__builtin__ float",
    "torch float16",
    "torch bfloat16",
    "torch float32",
    "torch float64",
    "torch uint8",
    "torch int8",
    "torch int16",
    "torch int32",
    "torch int64",
    "torch bool",
    "torch strided",
};

bool known(const std::string& global) {
  return storage_element(global) ||
         std::any_of(std::begin(kGlobals), std::end(kGlobals), [&](const char* name) { return global == name; });
}

}  // namespace

void Machine::global(const std::string& module, const std::string& name) {
  Value value;
  value.kind = Kind::global;
  value.text = module + " " + name;
  if (!known(value.text))
    throw Error(ExitCode::input,
                fmt::format("{}: the pickle asks for '{}.{}', which weights do not need; refused", where_,
                            printable(module), printable(name)),
                "nothing was executed; save the weights alone: torch.save(model.state_dict(), FILE)");
  push(make(std::move(value)));
}

Ref Machine::call(Ref function, Ref arguments) {
  if (values_[function].kind != Kind::global || values_[arguments].kind != Kind::tuple)
    damaged("a call of what cannot be called");
  if (values_[arguments].items.size() > kMostArguments) damaged("a call with more arguments than any function takes");
  const std::string name = values_[function].text;
  // A copy: making values may move the table they stand in.
  const Value given = values_[arguments];
  const auto needs = [&](std::size_t count) {
    if (given.items.size() < count) damaged(fmt::format("{} called with {} arguments", name, given.items.size()));
  };
  if (name == "torch._utils _rebuild_tensor" || name == "torch._utils _rebuild_tensor_v2")
    return needs(4), rebuild_tensor(given);
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
  if (name == "collections OrderedDict" || name == "collections Counter" || name.ends_with(" dict"))
    return ordered(given);
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
  if ((tuple.kind != Kind::tuple && tuple.kind != Kind::list) || tuple.items.size() > kMostDimensions)
    damaged("a tensor's shape is no short tuple");
  std::vector<std::int64_t> out;
  for (const auto item : tuple.items) {
    if (values_[item].kind != Kind::integer || values_[item].integer < 0)
      damaged("a tensor's shape holds a negative number or none");
    out.push_back(values_[item].integer);
  }
  return out;
}

/// (storage, offset, shape, stride, ...): the view must lie inside its storage and be no larger than it.
Ref Machine::rebuild_tensor(const Value& arguments) {
  const auto &storage = values_[arguments.items[0]], &offset = values_[arguments.items[1]];
  if (storage.kind != Kind::storage || offset.kind != Kind::integer || offset.integer < 0)
    damaged("a tensor without a storage");
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
    // Where there is nothing to step to, a stride may be anything: it is not walked with.
    if (tensor.shape[i] < 2) tensor.stride[i] = 0;
  }
  if (overflow || count > room || (count > 0 && last >= room)) damaged("a tensor that does not fit its storage");
  tensors_.push_back(std::move(tensor));
  return make(Kind::tensor, static_cast<std::int64_t>(tensors_.size() - 1));
}

/// ("storage", type, key, device, elements[, view]).
Ref Machine::load_storage(Ref id) {
  const auto& items = values_[id].items;
  if (values_[id].kind != Kind::tuple || items.size() < 5 || values_[items[0]].text != "storage" ||
      values_[items[1]].kind != Kind::global || values_[items[2]].kind != Kind::text ||
      values_[items[2]].text.size() > kLongestKey || values_[items[4]].kind != Kind::integer)
    damaged("a reference to something that is no storage");
  const auto element = storage_element(values_[items[1]].text);
  if (!element) damaged(fmt::format("a storage of type {}", values_[items[1]].text));
  if (items.size() > 5 && values_[items[5]].kind != Kind::none)
    damaged("a view of a storage, as the first PyTorch versions wrote them");
  Storage storage{values_[items[2]].text, *element, values_[items[4]].integer};
  if (storage.count < 0 || storage.count > std::int64_t{1} << 48) damaged("a storage of an impossible size");
  const auto [place, fresh] = storage_by_key_.try_emplace(storage.key, storages_.size());
  if (fresh) storages_.push_back(storage);
  const auto& first = storages_[place->second];
  if (first.element != storage.element || first.count != storage.count)
    damaged("a storage that is described twice, differently");
  return make(Kind::storage, static_cast<std::int64_t>(place->second));
}

}  // namespace langrun::pickle
