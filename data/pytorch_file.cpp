#include "data/pytorch_file.h"

#include <caffe2/serialize/inline_container.h>

#include <bit>
#include <string_view>

#include "data/pickle_opcodes.h"

namespace langrun {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

/// A pickle as it grows, of what a state dict needs.
class Pickle {
 public:
  Pickle() {
    op(pickle::kProto);
    byte(2);
  }
  void op(pickle::Op code) { bytes_.push_back(static_cast<char>(code)); }
  void text(std::string_view value) {
    op(pickle::kBinUnicode);
    word(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
  }
  void global(std::string_view module, std::string_view name) {
    op(pickle::kGlobal);
    bytes_.append(module).append("\n").append(name).append("\n");
  }
  /// In eight bytes: a length may be beyond what four hold.
  void integer(std::int64_t value) {
    op(pickle::kLong1);
    byte(8);
    for (int shift = 0; shift < 64; shift += 8) byte(static_cast<std::uint8_t>(value >> shift));
  }
  void integers(const ArrayShape& values) {
    op(pickle::kMark);
    for (const auto value : values) integer(value);
    op(pickle::kTuple);
  }
  std::string take() { return std::move(bytes_); }

 private:
  void byte(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void word(std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) byte(static_cast<std::uint8_t>(value >> shift));
  }
  std::string bytes_;
};

ArrayShape strides_of(const ArrayShape& shape) {
  ArrayShape strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

/// _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks); the values are record data/KEY.
void add_tensor(Pickle& out, const NamedArray& array, const std::string& key) {
  out.global("torch._utils", "_rebuild_tensor_v2");
  out.op(pickle::kMark);
  out.op(pickle::kMark);
  out.text("storage");
  out.global("torch", "FloatStorage");
  out.text(key);
  out.text("cpu");
  out.integer(elements(array.shape));
  out.op(pickle::kTuple);
  out.op(pickle::kBinPersId);
  out.integer(0);
  out.integers(array.shape);
  out.integers(strides_of(array.shape));
  out.op(pickle::kNewFalse);
  out.global("collections", "OrderedDict");
  out.op(pickle::kEmptyTuple);
  out.op(pickle::kReduce);
  out.op(pickle::kTuple);
  out.op(pickle::kReduce);
}

std::string pickled(const std::vector<NamedArray>& arrays) {
  Pickle out;
  out.op(pickle::kEmptyDict);
  out.op(pickle::kMark);
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    out.text(arrays[i].name);
    add_tensor(out, arrays[i], std::to_string(i));
  }
  out.op(pickle::kSetItems);
  out.op(pickle::kStop);
  return out.take();
}

}  // namespace

std::string pytorch_file(const std::vector<NamedArray>& arrays) {
  std::string file;
  caffe2::serialize::PyTorchStreamWriter zip([&](const void* bytes, std::size_t count) {
    file.append(static_cast<const char*>(bytes), count);
    return count;
  });
  const auto state = pickled(arrays);
  zip.writeRecord("data.pkl", state.data(), state.size());
  constexpr std::string_view kOrder = "little";
  zip.writeRecord("byteorder", kOrder.data(), kOrder.size());
  for (std::size_t i = 0; i < arrays.size(); ++i)
    zip.writeRecord("data/" + std::to_string(i), arrays[i].data().data(), arrays[i].data().size_bytes());
  zip.writeEndOfFile();
  return file;
}

}  // namespace langrun
