#include "jobs/torchscript.h"

#include <caffe2/serialize/inline_container.h>

#include <array>
#include <fstream>

namespace langrun {

std::string script_reason(const c10::Error& error) {
  std::string text = error.what_without_backtrace();
  text.erase(text.find_last_not_of(" \n") + 1);
  text = text.substr(text.rfind('\n') + 1);
  return text.substr(0, text.find(". "));
}

bool looks_like_torchscript(const std::string& path) {
  std::array<char, 2> head{};
  if (!std::ifstream(path, std::ios::binary).read(head.data(), head.size()) || head != std::array{'P', 'K'})
    return false;
  try {
    return caffe2::serialize::PyTorchStreamReader(path).hasRecord("constants.pkl");
  } catch (const c10::Error&) {
    return true;
  }
}

}  // namespace langrun
