#include "core/device_transfer.h"

#include "core/torch.h"

namespace langrun {

at::Tensor to_device(const at::Tensor& host, const at::Device& device) {
  if (!device.is_cuda() || host.is_cuda() || host.numel() == 0) return host.to(device);
  // torch keeps the page-locked copy until the transfer is done, and then for the next one.
  return host.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace langrun
