// Pickles as PyTorch's zip files hold them: the machine, the search for a state dictionary, and its tensors' numbers.
#include "data/pickle_machine.h"
#include "data/pickle_tree.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  constexpr std::uint64_t kMostBytes = 1 << 16;
  const fuzz::Octets input(data, size);
  fuzz::taken({ExitCode::input}, [&] {
    pickle::Machine machine(std::as_bytes(input), "input");
    const auto root = machine.run();
    const auto found = pickle::find_state_dict(machine, root, "", "input");
    for (const auto& [name, number] : found.tensors) {
      const auto& tensor = machine.tensors()[number];
      const auto& storage = machine.storages()[tensor.storage];
      const auto bytes = static_cast<std::uint64_t>(storage.count) * pickle::bytes_of(storage.element);
      // The file reader compares this with what the file holds; here any small storage is there, all zeros.
      if (bytes > kMostBytes) continue;
      const std::vector<std::byte> zeros(bytes);
      const auto decoded = pickle::decode(name, tensor, storage, zeros);
      fuzz::require(decoded.reals.size() + decoded.integers.size() == static_cast<std::size_t>(elements(decoded.shape)),
                    "a tensor has as many numbers as its shape says");
    }
  });
  return 0;
}
