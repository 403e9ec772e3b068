#include "distributed/agreement.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <future>
#include <optional>
#include <span>

#include "core/error.h"

namespace langrun {
namespace {

constexpr std::chrono::seconds kBetweenMeetings{1};

struct Verdict {
  int code = 0;
  std::string message, hint;
};

Verdict attempt(const std::function<void()>& part) {
  try {
    part();
    return {};
  } catch (...) {
    const auto error = as_error(std::current_exception());
    return {static_cast<int>(error.code()), error.what(), error.hint()};
  }
}

std::vector<std::byte> pack(const Verdict& verdict) {
  if (verdict.code == 0) return {};
  auto hint = verdict.hint;
  std::replace(hint.begin(), hint.end(), '\n', ' ');
  const std::string text = fmt::format("{}\n{}\n{}", verdict.code, hint, verdict.message);
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

Verdict unpack(const std::vector<std::byte>& bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto first = text.find('\n'), second = text.find('\n', first + 1);
  return {std::stoi(text.substr(0, first)), text.substr(second + 1), text.substr(first + 1, second - first - 1)};
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown host";
}

void agree(Communicator& world, const char* name, const std::function<void()>& part) {
  auto own = attempt(part);
  if (own.code != 0 && world.size() > 1 && world.rank() != 0)
    own.message += fmt::format(" [on rank {}, {}]", world.rank(), host_name());
  const auto all = world.gather_all(name, pack(own));
  for (const auto& bytes : all) {
    if (bytes.empty()) continue;
    const auto verdict = unpack(bytes);
    throw Error(static_cast<ExitCode>(verdict.code), verdict.message, verdict.hint);
  }
}

std::string on_root(Communicator& world, const char* name, const std::function<std::string()>& part) {
  std::string text;
  agree(world, name, [&] {
    if (world.rank() == 0) text = part();
  });
  std::int64_t length = static_cast<std::int64_t>(text.size());
  world.maximum(name, {&length, 1});
  text.resize(static_cast<std::size_t>(length));
  world.broadcast(name, std::as_writable_bytes(std::span(text.data(), text.size())), 0);
  return text;
}

std::string on_root_slowly(Communicator& world, const char* name, const std::function<std::string()>& part) {
  if (world.size() == 1) return on_root(world, name, part);
  std::future<std::string> work;
  if (world.rank() == 0) work = std::async(std::launch::async, part);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(Communicator::kUnstatedLimit);
  std::array going_on{std::byte{1}};
  while (going_on[0] != std::byte{0}) {
    if (world.rank() == 0) {
      const bool through = work.wait_for(kBetweenMeetings) == std::future_status::ready;
      if (!through && std::chrono::steady_clock::now() > deadline) work.wait();
      going_on[0] = std::byte{!through};
    }
    world.broadcast(name, going_on, 0);
  }
  return on_root(world, name, [&] { return work.get(); });
}

std::vector<std::string> by_rank(Communicator& world, const char* name, const std::string& own) {
  std::vector<std::string> texts;
  for (const auto& bytes : world.gather_all(name, std::as_bytes(std::span(own))))
    texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return texts;
}

}  // namespace langrun
