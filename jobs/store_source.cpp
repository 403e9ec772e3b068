#include <fmt/format.h>

#include "core/permutation.h"
#include "core/torch.h"
#include "jobs/finite_source.h"

namespace langrun {
namespace {

class StoreSource final : public FiniteSource {
 public:
  StoreSource(const std::string& store, const ImageShape& image, std::optional<std::uint64_t> seed)
      : data_(store, image), store_(store) {
    if (seed) order_.emplace(*seed, 0, data_.count());
  }

  std::int64_t count() const override { return static_cast<std::int64_t>(data_.count()); }
  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t, NoiseKey) override {
    std::vector<std::uint64_t> indices;
    for (const auto slot : slots) {
      const auto place = slot % data_.count();
      indices.push_back(order_ ? (*order_)(place) : place);
    }
    return {data_.images(indices), torch::empty({std::ssize(slots), 0})};
  }
  std::string description() const override { return fmt::format("{} of {}", order_ ? "data" : "images", store_); }

 private:
  TrainingData data_;
  std::optional<Permutation> order_;
  std::string store_;
};

}  // namespace

std::unique_ptr<FiniteSource> make_store_source(const std::string& store, const ImageShape& image,
                                                std::optional<std::uint64_t> seed) {
  return std::make_unique<StoreSource>(store, image, seed);
}

}  // namespace langrun
