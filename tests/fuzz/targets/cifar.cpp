// CIFAR's binary files and the lists of class names beside them.
#include "data/cifar_binary.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  fuzz::Octets input(data, size);
  for (const auto& name : parse_class_names(input))
    fuzz::require(!name.empty() && name.find('\n') == std::string::npos, "class names are lines");
  // Whole records are long: what the input has is repeated up to the length that its first byte chooses.
  const auto choice = fuzz::take_choice(input);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(choice % 4) * (choice & 4 ? 3074 : 3073) + (choice >> 7));
  for (std::size_t at = 0; at < bytes.size() && !input.empty(); ++at) bytes[at] = input[at % input.size()];
  const auto layout = cifar_layout(bytes);
  if (!layout) return 0;
  fuzz::require(layout->records * layout->record == bytes.size(), "records fill the file");
  for (std::uint64_t i = 0; i < layout->records; ++i) {
    const auto record = fuzz::Octets(bytes).subspan(i * layout->record, layout->record);
    fuzz::require(record[layout->label_at] < layout->classes, "labels are those of classes");
    decode_cifar(record);
  }
  return 0;
}
