// Additions in the order of a balanced binary tree.
#pragma once

#include <span>

namespace langrun {

/// sum[i] += other[i]; both of one length.
void add_into(std::span<float> sum, std::span<const float> other);

/// sum[i] = other[i] + sum[i]: `sum` is the right child.
void add_from_left(std::span<const float> other, std::span<float> sum);

/// Adds vectors pairwise as the tree does, neighbours first: sum = ((p0 + p1) + (p2 + p3)) + ... All parts are as long
/// as `sum`, which may be one of them; the parts are overwritten.
void add_in_tree_order(std::span<float* const> parts, std::span<float> sum);

}  // namespace langrun
