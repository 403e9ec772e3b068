#include "data/hdf5_library.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string_view>
#include <thread>

namespace langrun::h5 {
namespace {

/// A recursive lock with two queues: whoever goes first is let in before the others, however long those have waited.
/// A plain mutex is taken again by the thread that has just left it, so a writer of many pieces would keep readers out
/// for as long as it writes.
class Gate {
 public:
  void enter(bool first) {
    std::unique_lock lock(mutex_);
    const auto self = std::this_thread::get_id();
    if (depth_ > 0 && owner_ == self) {
      ++depth_;
      return;
    }
    if (first) {
      ++firsts_;
      firsts_turn_.wait(lock, [this] { return depth_ == 0; });
      --firsts_;
    } else {
      others_turn_.wait(lock, [this] { return depth_ == 0 && firsts_ == 0; });
    }
    owner_ = self;
    depth_ = 1;
  }

  void leave() {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      if (--depth_ > 0) return;
      owner_ = {};
      first = firsts_ > 0;
    }
    (first ? firsts_turn_ : others_turn_).notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable firsts_turn_, others_turn_;
  std::thread::id owner_;
  int depth_ = 0;   ///< locks that the owner holds
  int firsts_ = 0;  ///< threads waiting that go first
};

// HDF5 keeps process-wide state, so its lock is process-wide too.
Gate& library_gate() {
  static Gate gate;
  return gate;
}

thread_local int goes_first = 0;

herr_t first_description(unsigned, const H5E_error2_t* error, void* out) {
  auto* text = static_cast<std::string*>(out);
  if (text->empty() && error->desc != nullptr) *text = error->desc;
  return 0;
}

/// The innermost reason that HDF5 gives for its last failure, on one line; of a failed read or write the system's own.
std::string reason() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_description, &text);
  constexpr std::string_view kSystem = "error message = '";
  if (const auto at = text.find(kSystem); at != std::string::npos) {
    text.erase(0, at + kSystem.size());
    text.erase(std::min(text.find('\''), text.size()));
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? "no reason given" : text;
}

}  // namespace

Lock::Lock() {
  library_gate().enter(goes_first > 0);
  // Files are closed by their handles. What HDF5 could not write on a full disk it would try again at exit, and crash.
  static const bool exits_quietly = H5dont_atexit() >= 0;
  (void)exits_quietly;
  // HDF5 prints its error stack to stderr by default, as set for each thread; errors reach the user through Error
  // instead.
  thread_local const bool silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  (void)silenced;
}

Lock::~Lock() { library_gate().leave(); }

GoesFirst::GoesFirst() { ++goes_first; }
GoesFirst::~GoesFirst() { --goes_first; }

Hold::Hold() : lock_(std::make_unique<Lock>()) {}
Hold::~Hold() = default;

void fail(ExitCode code, const std::string& what, const std::string& hint) {
  throw Error(code, fmt::format("{} (HDF5: {})", what, reason()), hint);
}

hid_t native(Type type) {
  switch (type) {
    case Type::u8: return H5T_NATIVE_UINT8;
    case Type::i32: return H5T_NATIVE_INT32;
    case Type::i64: return H5T_NATIVE_INT64;
    case Type::u64: return H5T_NATIVE_UINT64;
    case Type::f32: return H5T_NATIVE_FLOAT;
    case Type::f64: return H5T_NATIVE_DOUBLE;
  }
  return H5T_NATIVE_UINT8;
}

Handle space_of(const Shape& shape, const Shape& maximum) {
  if (shape.empty()) return Handle(H5Screate(H5S_SCALAR), close_space);
  std::vector<hsize_t> dims(shape.begin(), shape.end());
  std::vector<hsize_t> most(maximum.begin(), maximum.end());
  return Handle(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), most.empty() ? nullptr : most.data()),
                close_space);
}

std::size_t bytes_of(Type type) {
  switch (type) {
    case Type::u8: return 1;
    case Type::i32:
    case Type::f32: return 4;
    default: return 8;
  }
}

const char* name_of(Type type) {
  switch (type) {
    case Type::u8: return "uint8";
    case Type::i32: return "int32";
    case Type::i64: return "int64";
    case Type::u64: return "uint64";
    case Type::f32: return "float32";
    case Type::f64: return "float64";
  }
  return "?";
}

std::uint64_t elements(const Shape& shape) {
  std::uint64_t n = 1;
  for (auto extent : shape) n *= extent;
  return n;
}

bool looks_like_hdf5(const std::filesystem::path& path) {
  std::array<char, 8> head{};
  std::ifstream(path, std::ios::binary).read(head.data(), head.size());
  return head == std::array<char, 8>{'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
}

std::string to_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Handle::Handle(Handle&& other) noexcept : id_(other.id_), closer_(other.closer_) { other.id_ = -1; }

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    close();
    id_ = other.id_;
    closer_ = other.closer_;
    other.id_ = -1;
  }
  return *this;
}

Handle::~Handle() { close(); }

void Handle::close() {
  if (id_ < 0) return;
  Lock lock;
  closer_(id_);
  id_ = -1;
}

std::string library_version() {
  Lock lock;
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace langrun::h5
