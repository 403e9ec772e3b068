#include "core/tiles/product.h"

#include <type_traits>

#include "core/error.h"
#include "core/torch.h"

namespace langrun::tiles {
namespace {

int chunk_of(std::int64_t columns) {
  for (const int width : {64, 48, 32})
    if (columns % width == 0) return width;
  return 16;
}

}  // namespace

template <class T>
PackedMatrices<T>::PackedMatrices(const at::Tensor& values)
    : matrices_(static_cast<int>(values.size(0))), depth_(static_cast<int>(values.size(1))),
      chunk_(chunk_of(values.size(2))), chunks_(static_cast<int>(values.size(2)) / chunk_) {
  if (values.size(1) % 16 != 0 || values.size(2) % 16 != 0)
    throw Error(ExitCode::internal, "packed matrices: rows and columns come in multiples of 16");
  // bfloat16 products take two neighbouring rows at once, so these lie side by side.
  constexpr std::int64_t kPair = std::is_same_v<T, Bf16> ? 2 : 1;
  packed_ = values.view({matrices_, depth_ / kPair, kPair, chunks_, chunk_})
                .permute({0, 3, 1, 4, 2})
                .to(kPair == 2 ? at::kBFloat16 : at::kFloat)
                .contiguous();
}

template <class T>
const T* PackedMatrices<T>::weights(int p, int chunk) const {
  const auto at = (static_cast<std::int64_t>(p) * chunks_ + chunk) * depth_ * chunk_;
  return static_cast<const T*>(packed_.const_data_ptr()) + at;
}

template class PackedMatrices<float>;
template class PackedMatrices<Bf16>;

}  // namespace langrun::tiles
