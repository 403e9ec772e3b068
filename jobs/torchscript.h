// TorchScript modules that somebody else wrote.
#pragma once

#include <c10/util/Exception.h>

#include <string>

namespace langrun {

/// What went wrong, of an error of LibTorch's: the first sentence of its last line, above which stand stacks.
std::string script_reason(const c10::Error& error);

/// True where the file is a zip as torch.jit.save writes it, unlike torch.save's of weights, and for zips that are
/// damaged: loading says what is wrong.
bool looks_like_torchscript(const std::string& path);

}  // namespace langrun
