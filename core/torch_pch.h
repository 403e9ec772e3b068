// Precompiled once per target: torch costs 13 s of compile time in every file that includes it plainly.
#pragma once
#include <torch/torch.h>
