// What went wrong inside a TorchScript module, for one line.
#pragma once

#include <exception>
#include <string>

namespace langrun {

/// Of LibTorch's errors as script_reason; of what a module itself raises the last line, above which stand stacks.
std::string raised_reason(const std::exception& error);

}  // namespace langrun
