// One lane of a bank in a file of its own, so that any rank count reads it.
#pragma once

#include <filesystem>
#include <string>

#include "core/bank.h"

namespace langrun {

/// Writes `bank-<lane>.h5` with group /bank: images [rows, C, H, W] float32, latents [rows, nz] float32, updates and
/// visits [rows] int64; row r is slot lane + L * r. Returns the file's name. Throws Error(storage).
std::string write_bank_lane(const std::filesystem::path& folder, std::int64_t lane, std::int64_t lanes,
                            const BankLane& bank);

/// Reads it back. Throws Error(input) where it is of another lane or its shapes are not those expected.
BankLane read_bank_lane(const std::filesystem::path& folder, std::int64_t lane, std::int64_t lanes, std::int64_t rows,
                        const ImageShape& image, std::int64_t latent);

}  // namespace langrun
