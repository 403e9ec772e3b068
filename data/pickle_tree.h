// From the values of a pickle to the tensors wanted: finds the dictionary and turns raw storages into numbers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/pickle.h"
#include "data/pickle_machine.h"

namespace langrun::pickle {

/// Name and tensor number, in the file's order.
using NamedTensors = std::vector<std::pair<std::string, std::size_t>>;
struct FoundDict {
  std::string key;
  NamedTensors tensors;
};

/// The dictionary that read_pytorch describes, wrapper prefixes taken off. Throws Error(input) listing the candidates
/// where `key` is not among them or the choice is not clear.
FoundDict find_state_dict(const Machine& machine, Ref root, const std::string& key, const std::string& where);

/// The numbers of `tensor` out of the bytes of its storage (little-endian, storage.count elements).
PickledTensor decode(const std::string& name, const Tensor& tensor, const Storage& storage,
                     std::span<const std::byte> bytes);

}  // namespace langrun::pickle
