// Points of the plane that a run has: its data, its bank's chains.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace langrun {

/// The first `most` points of a store, [n, 2]. Throws Error(input) where it is missing or damaged or does not hold
/// points.
std::vector<float> data_points(const std::filesystem::path& store, std::uint64_t most);

/// Name of the PlaneDensity that a store was drawn from by `data synth`; empty where it was not.
std::string density_of_store(const std::filesystem::path& store);

/// Chains of a checkpoint's bank (of `update` where there are two), [n, 2]: as many of each lane as give about `most`
/// in all; none where the run keeps no bank.
std::vector<float> bank_points(const std::filesystem::path& checkpoint, std::uint64_t most);

}  // namespace langrun
