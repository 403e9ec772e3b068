#include "distributed/device_binding.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "core/error.h"
#include "distributed/agreement.h"

#ifdef LANGRUN_HAVE_CUDA
#include <cuda_runtime.h>
#endif

namespace langrun {
namespace {

constexpr const char* kNoGpuHint = "use --device cpu, or start the ranks where each sees a GPU of its own";

struct Seen {
  int index = 0;
  std::string name, identity, reason;
};

#ifdef LANGRUN_HAVE_CUDA
// The identity is the GPU's own and not its number: launchers that give each rank one GPU show all of them as device 0.
Seen look(int local_rank) {
  int count = 0;
  const auto code = cudaGetDeviceCount(&count);
  if (code != cudaSuccess || count == 0) {
    cudaGetLastError();  // clears the error, or torch would report it at its first call
    return {0, "", "", code == cudaSuccess ? "no CUDA device" : cudaGetErrorString(code)};
  }
  const int index = local_rank % count;
  cudaDeviceProp properties{};
  if (const auto failed = cudaGetDeviceProperties(&properties, index); failed != cudaSuccess)
    return {index, "", "", fmt::format("GPU {}: {}", index, cudaGetErrorString(failed))};
  std::string identity;
  for (const char byte : properties.uuid.bytes) identity += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return {index, properties.name, identity, ""};
}

void take(int index) {
  if (const auto failed = cudaSetDevice(index); failed != cudaSuccess)
    throw Error(ExitCode::rank, fmt::format("GPU {} cannot be used: {}", index, cudaGetErrorString(failed)),
                "is another program holding it in exclusive mode?");
}
#else
Seen look(int) { return {0, "", "", "this program was built without CUDA"}; }
void take(int) {}
#endif

std::vector<DeviceClaim> gather_claims(Communicator& world, const Seen& own) {
  const auto text = host_name() + '\n' + own.identity + '\n' + own.reason;
  const auto all = world.gather_all("device claims", std::as_bytes(std::span(text)));
  std::vector<DeviceClaim> claims;
  for (const auto& bytes : all) {
    const std::string line(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto first = line.find('\n'), second = line.find('\n', first + 1);
    claims.push_back({line.substr(0, first), line.substr(first + 1, second - first - 1), line.substr(second + 1)});
  }
  return claims;
}

}  // namespace

bool choose_cuda(const std::string& asked, const std::vector<DeviceClaim>& claims, bool share_gpus) {
  if (asked == "cpu") return false;
  bool any = false;
  for (const auto& claim : claims) any = any || !claim.gpu.empty();
  if (asked == "auto" && !any) return false;
  std::map<std::pair<std::string, std::string>, std::size_t> taken;
  for (std::size_t rank = 0; rank < claims.size(); ++rank) {
    const auto& [host, gpu, reason] = claims[rank];
    if (gpu.empty())
      throw Error(ExitCode::usage,
                  fmt::format("--device {}: rank {} on {} sees no GPU ({})", asked, rank, host, reason), kNoGpuHint);
    const auto [other, fresh] = taken.emplace(std::pair{host, gpu}, rank);
    if (!fresh && !share_gpus)
      throw Error(
          ExitCode::usage,
          fmt::format("--device {}: ranks {} and {} on {} would share one GPU", asked, other->second, rank, host),
          "start as many ranks on a host as it has GPUs, or use --reduction tree, or --device cpu");
  }
  return true;
}

DeviceBinding bind_device(Communicator& world, const std::string& asked, bool share_gpus) {
  const Seen own = asked == "cpu" ? Seen{} : look(world.local_rank());
  if (!choose_cuda(asked, gather_claims(world, own), share_gpus)) return {false, 0, "cpu"};
  agree(world, "take the device", [&] { take(own.index); });
  return {true, own.index, own.name};
}

}  // namespace langrun
