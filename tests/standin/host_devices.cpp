#include "tests/standin/host_devices.h"

#include <chrono>
#include <cstring>

#include "distributed/tree_sum.h"

namespace langrun {
namespace {

// Longer than any stream of a test that goes well is busy, on a machine that has other things to do too.
constexpr auto kEndless = std::chrono::seconds(60);

}  // namespace

void HostDevices::close() {
  std::vector<std::shared_ptr<HostStream>> queues;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [handle, stream] : streams_) queues.push_back(stream.queue);
    for (auto& stream : destroyed_) queues.push_back(stream.queue);
    streams_.clear();
    destroyed_.clear();
  }
  for (const auto& queue : queues) queue->drain(kEndless);
}

cudaError_t HostDevices::stream_create(cudaStream_t* stream) {
  auto queue = std::make_shared<HostStream>();
  *stream = reinterpret_cast<cudaStream_t>(queue.get());
  const std::lock_guard lock(mutex_);
  streams_[*stream] = {std::move(queue), std::this_thread::get_id()};
  return cudaSuccess;
}

cudaError_t HostDevices::stream_destroy(cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return cudaErrorInvalidResourceHandle;
  destroyed_.push_back(std::move(found->second));
  streams_.erase(found);
  return cudaSuccess;
}

cudaError_t HostDevices::stream_wait_event(cudaStream_t stream, cudaEvent_t event) {
  const std::lock_guard lock(mutex_);
  const auto at = streams_.find(stream);
  const auto found = events_.find(event);
  if (at == streams_.end() || found == events_.end()) return cudaErrorInvalidResourceHandle;
  found->second->hold(*at->second.queue);
  return cudaSuccess;
}

cudaError_t HostDevices::event_create(cudaEvent_t* event) {
  auto made = std::make_unique<HostEvent>();
  *event = reinterpret_cast<cudaEvent_t>(made.get());
  const std::lock_guard lock(mutex_);
  events_[*event] = std::move(made);
  return cudaSuccess;
}

cudaError_t HostDevices::event_destroy(cudaEvent_t event) {
  const std::lock_guard lock(mutex_);
  return events_.erase(event) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t HostDevices::event_record(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  const auto at = streams_.find(stream);
  const auto found = events_.find(event);
  if (at == streams_.end() || found == events_.end()) return cudaErrorInvalidResourceHandle;
  found->second->record(*at->second.queue);
  return cudaSuccess;
}

cudaError_t HostDevices::event_query(cudaEvent_t event) {
  const std::lock_guard lock(mutex_);
  const auto found = events_.find(event);
  if (found == events_.end()) return cudaErrorInvalidResourceHandle;
  return found->second->query() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t HostDevices::allocate(void** data, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto& taken = taken_[std::this_thread::get_id()];
  if (bytes > limit_ - taken) return cudaErrorMemoryAllocation;
  taken += bytes;
  *data = nullptr;
  if (bytes == 0) return cudaSuccess;
  Block block{std::vector<std::byte>(bytes, std::byte{0xff}), std::this_thread::get_id()};  // floats of it are NaN
  *data = block.bytes.data();
  blocks_.emplace(*data, std::move(block));
  return cudaSuccess;
}

cudaError_t HostDevices::free(void* data) {
  if (data == nullptr) return cudaSuccess;
  std::vector<std::shared_ptr<HostStream>> queues;
  {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(data);
    if (found == blocks_.end()) return cudaErrorInvalidValue;
    const auto device = found->second.device;
    for (const auto& [handle, stream] : streams_)
      if (stream.device == device) queues.push_back(stream.queue);
    for (const auto& stream : destroyed_)
      if (stream.device == device) queues.push_back(stream.queue);
  }
  for (const auto& queue : queues)
    if (!queue->drain(kEndless)) {
      const std::lock_guard lock(mutex_);
      ++endless_frees_;
      return cudaErrorLaunchTimeout;
    }
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(data);
  taken_[found->second.device] -= found->second.bytes.size();
  blocks_.erase(found);
  return cudaSuccess;
}

cudaError_t HostDevices::copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const auto device = std::this_thread::get_id();
  const auto queue = find(stream, device);
  if (queue == nullptr) return cudaErrorInvalidResourceHandle;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (to_device != holds(to, bytes, device) || from_device != holds(from, bytes, device)) return cudaErrorInvalidValue;
  queue->enqueue([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t HostDevices::fill(void* data, int value, std::size_t bytes, cudaStream_t stream) {
  const auto device = std::this_thread::get_id();
  const auto queue = find(stream, device);
  if (queue == nullptr) return cudaErrorInvalidResourceHandle;
  if (!holds(data, bytes, device)) return cudaErrorInvalidValue;
  queue->enqueue([=] { std::memset(data, value, bytes); });
  return cudaSuccess;
}

cudaError_t HostDevices::add(float* sum, const float* other, std::size_t count, cudaStream_t stream) {
  const auto device = std::this_thread::get_id();
  const auto queue = find(stream, device);
  if (queue == nullptr) return cudaErrorInvalidResourceHandle;
  if (!holds(sum, count * sizeof(float), device) || !holds(other, count * sizeof(float), device))
    return cudaErrorInvalidValue;
  queue->enqueue([=] { add_into({sum, count}, {other, count}); });
  return cudaSuccess;
}

std::shared_ptr<HostStream> HostDevices::find(cudaStream_t stream, Device device) const {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  return found == streams_.end() || found->second.device != device ? nullptr : found->second.queue;
}

const HostDevices::Block* HostDevices::block_of(const void* data, std::size_t bytes) const {
  auto after = blocks_.upper_bound(data);
  if (after == blocks_.begin()) return nullptr;
  const auto& [start, block] = *--after;
  const auto from =
      static_cast<std::size_t>(static_cast<const std::byte*>(data) - static_cast<const std::byte*>(start));
  return from <= block.bytes.size() && bytes <= block.bytes.size() - from ? &block : nullptr;
}

bool HostDevices::holds(const void* data, std::size_t bytes, Device device) const {
  const std::lock_guard lock(mutex_);
  const auto* block = block_of(data, bytes);
  return block != nullptr && block->device == device;
}

HostDevices::Counts HostDevices::counts() const {
  const std::lock_guard lock(mutex_);
  return {streams_.size(), events_.size(), blocks_.size(), endless_frees_};
}

}  // namespace langrun
