// One lane of a bank in a file of its own, so that any rank count reads it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/bank.h"
#include "core/frozen_bank.h"
#include "data/streamed_file.h"

namespace langrun {

/// "bank-3.h5"
std::string bank_file_name(std::int64_t lane);

/// Where a bank stands in the file: "bank", or "burn_in" and "update" beside each other.
struct BankGroup {
  std::string name = "bank";
  std::size_t which = 0;  ///< its lane among those of a FrozenBank
};

/// Writes `bank-<lane>.h5`, durably, with a group a bank: images [rows, C, H, W] float32, latents [rows, nz] float32,
/// updates and visits [rows] int64; row r is slot lane + L * r. Holds `memory` bytes of images and the lane's latents.
/// Nothing where `stop` said so on the way. Throws Error(storage).
std::optional<WrittenFile> write_bank_lane(const std::filesystem::path& folder, std::int64_t lane, std::int64_t lanes,
                                           FrozenBank& bank, const std::vector<BankGroup>& groups, std::size_t memory,
                                           const std::function<bool()>& stop = {});

/// Reads a group of it back. Throws Error(input) where it is of another lane or its shapes are not those expected.
BankLane read_bank_lane(const std::filesystem::path& folder, std::int64_t lane, std::int64_t lanes, std::int64_t rows,
                        const ImageShape& image, std::int64_t latent, const std::string& group = "bank");

}  // namespace langrun
