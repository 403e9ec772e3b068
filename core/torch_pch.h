// Precompiled once per target.
#pragma once
#include "core/torch.h"
