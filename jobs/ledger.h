// What ranks tell each other of chains that are theirs.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "core/error.h"
#include "core/torch.h"
#include "distributed/communicator.h"

namespace langrun {

/// Values of several ranks, appended by one and read in the same order by all.
class Ledger {
 public:
  /// float32 values of any shape and device.
  void add(const at::Tensor& values) {
    const auto host = values.cpu().contiguous();
    const auto* from = host.const_data_ptr<float>();
    values_.insert(values_.end(), from, from + host.numel());
  }
  /// Collective under `name`: every rank calls it once, after its last add(); blocks until all have.
  void exchange(Communicator& world, const char* name) {
    ranks_ = world.gather_all(name, std::as_bytes(std::span(values_)));
    read_.assign(ranks_.size(), 0);
  }
  /// The next values that rank `owner` added, float32 in host memory. Throws Error(internal) where it added fewer.
  at::Tensor next(std::int64_t owner, at::IntArrayRef shape) {
    auto out = torch::empty(shape);
    const auto bytes = static_cast<std::size_t>(out.numel()) * sizeof(float);
    const auto rank = static_cast<std::size_t>(owner);
    if (read_[rank] + bytes > ranks_[rank].size())
      throw Error(ExitCode::internal, fmt::format("rank {} exchanged less than was expected", owner));
    std::memcpy(out.mutable_data_ptr<float>(), ranks_[rank].data() + read_[rank], bytes);
    read_[rank] += bytes;
    return out;
  }

 private:
  std::vector<float> values_;
  std::vector<std::vector<std::byte>> ranks_;
  std::vector<std::size_t> read_;
};

}  // namespace langrun
