#include "distributed/nccl_reducer.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "core/error.h"
#include "distributed/nccl_functions.h"

namespace langrun {
namespace {

/// float32 [count] on the communicator's device.
class DeviceVector {
 public:
  /// Throws Error(rank) where there is no room.
  DeviceVector(const NcclCommunicator& nccl, std::size_t count) : nccl_(&nccl) {
    const auto& functions = nccl.functions();
    if (const auto code = functions.allocate(&data_, count * sizeof(float)); code != cudaSuccess)
      throw Error(ExitCode::rank,
                  fmt::format("reduction on the GPU of rank {}: no memory for {} bytes: {}", nccl.rank(),
                              count * sizeof(float), functions.cuda_error_string(code)),
                  "take more ranks or a smaller network, or --reduction tree, which adds in host memory");
  }
  ~DeviceVector() {
    // Freeing waits for all that runs on the GPU, and what NCCL left there may never end.
    if (data_ != nullptr && !nccl_->stuck()) nccl_->functions().free(data_);
  }
  DeviceVector(DeviceVector&& other) noexcept : nccl_(other.nccl_), data_(std::exchange(other.data_, nullptr)) {}
  DeviceVector& operator=(DeviceVector&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  float* get() const { return static_cast<float*>(data_); }

 private:
  const NcclCommunicator* nccl_;
  void* data_ = nullptr;
};

}  // namespace

struct NcclReducer::State {
  struct Node {
    std::int64_t leaves;
    DeviceVector sum;
  };

  State(NcclCommunicator& communicator, const Lanes& owned, std::size_t count, DeviceSum how, std::string what)
      : nccl(communicator), lanes(owned), elements(count), order(how), name(std::move(what)),
        slice((count + static_cast<std::size_t>(communicator.size()) - 1) /
              static_cast<std::size_t>(communicator.size())),
        total(nccl, padded()), received(nccl, how == DeviceSum::tree ? padded() : 1) {}

  std::size_t padded() const { return slice * static_cast<std::size_t>(nccl.size()); }

  void check(cudaError_t code, const char* what) const {
    if (code != cudaSuccess)
      throw Error(ExitCode::rank, fmt::format("reduction '{}' on the GPU of rank {}: {}: {}", name, nccl.rank(), what,
                                              nccl.functions().cuda_error_string(code)));
  }

  void add_into(float* sum, const float* other, std::size_t count) const {
    check(nccl.functions().add(sum, other, count, nccl.stream()), "addition");
  }

  void expect_lane() const {
    if (added == lanes.owned)
      throw Error(ExitCode::internal, fmt::format("reduction '{}' was given more than {} lanes", name, lanes.owned));
  }

  // Copies stay on one stream with the additions, so their order is the program's.
  void add(const float* lane, cudaMemcpyKind kind) {
    DeviceVector leaf = spare.empty() ? DeviceVector(nccl, padded()) : std::move(spare.back());
    if (!spare.empty()) spare.pop_back();
    check(nccl.functions().copy(leaf.get(), lane, elements * sizeof(float), kind, nccl.stream()), "copy");
    nccl.settle(name + ": copy of a lane");
    ++added;
    stack.push_back({1, std::move(leaf)});
    // Two sums of equally many lanes are the children of one node: left + right, in lane order.
    while (stack.size() > 1 && stack[stack.size() - 2].leaves == stack.back().leaves) {
      auto& left = stack[stack.size() - 2];
      add_into(left.sum.get(), stack.back().sum.get(), elements);
      left.leaves *= 2;
      spare.push_back(std::move(stack.back().sum));
      stack.pop_back();
    }
  }

  // Rank r's block is the sum of its subtree; the upper levels of the same tree add them, pairwise, into block 0.
  void tree() {
    const auto ranks = static_cast<std::size_t>(nccl.size());
    // The last slice may reach beyond the vector; it travels too, and memory never written must not.
    if (const auto rest = padded() - elements; rest > 0)
      check(nccl.functions().fill(total.get() + elements, 0, rest * sizeof(float), nccl.stream()), "clearing");
    nccl.exchange(name + ": slices", total.get(), received.get(), slice);
    for (std::size_t stride = 1; stride < ranks; stride *= 2)
      for (std::size_t block = 0; block + stride < ranks; block += 2 * stride)
        add_into(received.get() + block * slice, received.get() + (block + stride) * slice, slice);
    nccl.gather_blocks(name + ": gather", received.get(), total.get(), slice);
  }

  NcclCommunicator& nccl;
  Lanes lanes;
  std::size_t elements;
  DeviceSum order;
  std::string name;
  std::size_t slice;
  DeviceVector total, received;
  std::vector<Node> stack;
  std::vector<DeviceVector> spare;
  std::vector<float> host;
  std::int64_t added = 0;  // lanes of this step
  bool open = false;       // whether host is a lane that is being written
};

NcclReducer::NcclReducer(NcclCommunicator& nccl, const Lanes& lanes, std::size_t elements, DeviceSum order,
                         std::string name)
    : state_(std::make_unique<State>(nccl, lanes, elements, order, std::move(name))) {}

NcclReducer::~NcclReducer() = default;

std::size_t NcclReducer::elements() const { return state_->elements; }

std::span<float> NcclReducer::lane() {
  state_->expect_lane();
  state_->host.resize(state_->elements);
  state_->open = true;
  return state_->host;
}

void NcclReducer::add() {
  if (!state_->open) throw Error(ExitCode::internal, fmt::format("reduction '{}': no lane was written", state_->name));
  state_->add(state_->host.data(), cudaMemcpyHostToDevice);
  state_->open = false;
}

void NcclReducer::add_device(const float* lane, CUstream_st* producer) {
  state_->expect_lane();
  state_->nccl.after(producer);
  state_->add(lane, cudaMemcpyDeviceToDevice);
}

const float* NcclReducer::finalize_device() {
  auto& s = *state_;
  if (s.added != s.lanes.owned)
    throw Error(ExitCode::internal,
                fmt::format("reduction '{}' was finalised before all {} lanes were added", s.name, s.lanes.owned));
  std::swap(s.total, s.stack[0].sum);
  s.spare.push_back(std::move(s.stack[0].sum));
  s.stack.clear();
  s.added = 0;
  if (s.nccl.size() > 1 && s.order == DeviceSum::tree) s.tree();
  if (s.order == DeviceSum::nccl) s.nccl.all_reduce(s.name, s.total.get(), s.elements);
  s.nccl.settle(s.name);
  return s.total.get();
}

std::span<const float> NcclReducer::finalize() {
  auto& s = *state_;
  const float* sum = finalize_device();
  s.host.resize(s.elements);
  s.check(
      s.nccl.functions().copy(s.host.data(), sum, s.elements * sizeof(float), cudaMemcpyDeviceToHost, s.nccl.stream()),
      "copy");
  s.nccl.settle(s.name + ": copy to the host");
  return s.host;
}

}  // namespace langrun
