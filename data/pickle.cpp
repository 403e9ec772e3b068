#include "data/pickle.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "data/archive_reason.h"
#include "data/pickle_tree.h"

namespace langrun {
namespace {

using pickle::FoundDict;
using pickle::Machine;
using pickle::Ref;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kLargestPickle = 64u << 20;
constexpr char kSaveAgain[] = "the file is truncated or damaged; fetch or save it again";

[[noreturn]] void bad(const std::filesystem::path& path, const std::string& what,
                      const std::string& hint = kSaveAgain) {
  throw Error(ExitCode::input, fmt::format("{}: {}", path.string(), what), hint);
}

std::string first_bytes(const std::filesystem::path& path, std::size_t count) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure))
    throw Error(ExitCode::input, fmt::format("no file {}", path.string()), "check the path");
  std::ifstream in(path, std::ios::binary);
  std::string bytes(count, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

/// Numbers of elements are bounded by the file's own size, so that a small file cannot ask for a large memory: a
/// storage that is seen through many tensors would.
class Budget {
 public:
  explicit Budget(const std::filesystem::path& path)
      : path_(path), left_(std::filesystem::file_size(path) * 64 + (16u << 20)) {}
  void take(std::uint64_t bytes) {
    if (bytes > left_) bad(path_, "its tensors are far larger than the file");
    left_ -= bytes;
  }

 private:
  const std::filesystem::path& path_;
  std::uint64_t left_;
};

/// Numbers of the tensors wanted, by storage, and where each goes.
class Collector {
 public:
  Collector(const std::filesystem::path& path, const Machine& machine, FoundDict found)
      : machine_(machine), found_(std::move(found)), budget_(path) {
    out_.key = found_.key;
    out_.tensors.resize(found_.tensors.size());
    for (std::size_t i = 0; i < found_.tensors.size(); ++i) {
      const auto& tensor = machine_.tensors()[found_.tensors[i].second];
      budget_.take(static_cast<std::uint64_t>(elements(tensor.shape)) * 8);
      wanted_[machine_.storages()[tensor.storage].key].push_back(i);
    }
  }

  bool wants(const std::string& key) const { return wanted_.contains(key); }
  const pickle::Storage& storage(const std::string& key) const {
    return machine_.storages()[machine_.tensors()[found_.tensors[wanted_.at(key).front()].second].storage];
  }
  void give(const std::string& key, std::span<const std::byte> bytes) {
    const auto& made_of = storage(key);
    for (const auto i : wanted_.at(key))
      out_.tensors[i] =
          pickle::decode(found_.tensors[i].first, machine_.tensors()[found_.tensors[i].second], made_of, bytes);
    wanted_.erase(key);
  }
  /// The result; every storage must have come.
  StateDict finish(const std::filesystem::path& path) {
    if (!wanted_.empty())
      bad(path, fmt::format("storage {} is not in the file", pickle::printable(wanted_.begin()->first)));
    return std::move(out_);
  }
  Budget& budget() { return budget_; }

 private:
  const Machine& machine_;
  FoundDict found_;
  Budget budget_;
  std::map<std::string, std::vector<std::size_t>> wanted_;
  StateDict out_;
};

// ---- zip -----------------------------------------------------------------------------------------------------------

using Archive = std::unique_ptr<archive, int (*)(archive*)>;

Archive open_zip(const std::filesystem::path& path) {
  Archive zip(archive_read_new(), archive_read_free);
  archive_read_support_format_zip_seekable(zip.get());
  if (archive_read_open_filename(zip.get(), path.c_str(), 1 << 16) != ARCHIVE_OK)
    bad(path, fmt::format("not a readable zip archive ({})", archive_reason(zip.get())));
  return zip;
}

/// All of the current entry; grows with what really comes, up to `most` bytes.
Bytes read_entry(archive* zip, const std::filesystem::path& path, const std::string& name, std::uint64_t most) {
  Bytes bytes;
  std::array<std::byte, 1 << 16> block;
  for (;;) {
    const auto got = archive_read_data(zip, block.data(), block.size());
    if (got < 0) bad(path, fmt::format("cannot read {} ({})", pickle::printable(name), archive_reason(zip)));
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(got) > most)
      bad(path, fmt::format("{} is longer than it may be ({} bytes)", pickle::printable(name), most));
    bytes.insert(bytes.end(), block.begin(), block.begin() + got);
  }
}

void each_entry(const std::filesystem::path& path, const std::function<void(archive*, const std::string&)>& use) {
  const auto zip = open_zip(path);
  archive_entry* entry = nullptr;
  for (;;) {
    const int status = archive_read_next_header(zip.get(), &entry);
    if (status == ARCHIVE_EOF) return;
    if (status < ARCHIVE_WARN) bad(path, fmt::format("damaged zip archive ({})", archive_reason(zip.get())));
    const char* name = archive_entry_pathname(entry);
    if (name != nullptr) use(zip.get(), name);
  }
}

StateDict read_zip(const std::filesystem::path& path, const std::string& key) {
  std::string prefix;
  Bytes program;
  bool script = false;
  each_entry(path, [&](archive* zip, const std::string& name) {
    const auto slash = name.find('/');
    const auto inner = slash == std::string::npos ? std::string() : name.substr(slash + 1);
    if (inner == "data.pkl" && program.empty()) {
      prefix = name.substr(0, slash + 1);
      program = read_entry(zip, path, name, kLargestPickle);
    } else if (inner == "constants.pkl" || inner.starts_with("code/")) {
      script = true;
    } else if (inner == "byteorder") {
      const auto order = read_entry(zip, path, name, 16);
      if (std::string(reinterpret_cast<const char*>(order.data()), order.size()) != "little")
        bad(path, "written on a big-endian machine", "load and save it again on a little-endian one");
    }
  });
  if (script)
    bad(path, "is a TorchScript program; langrun reads weights from state dictionaries",
        "save the weights: torch.save(model.state_dict(), FILE)");
  if (program.empty()) bad(path, "a zip archive without data.pkl", "expected a file written by torch.save");

  Machine machine(program, path.string());
  const Ref root = machine.run();
  Collector collector(path, machine, pickle::find_state_dict(machine, root, key, path.string()));
  each_entry(path, [&](archive* zip, const std::string& name) {
    if (!name.starts_with(prefix + "data/")) return;
    const auto storage_key = name.substr(prefix.size() + 5);
    if (!collector.wants(storage_key)) return;
    const auto& storage = collector.storage(storage_key);
    const auto size = static_cast<std::uint64_t>(storage.count) * bytes_of(storage.element);
    collector.budget().take(size);
    const auto bytes = read_entry(zip, path, name, size);
    if (bytes.size() != size)
      bad(path, fmt::format("{} has {} bytes, {} expected", pickle::printable(name), bytes.size(), size));
    collector.give(storage_key, bytes);
  });
  return collector.finish(path);
}

// ---- legacy --------------------------------------------------------------------------------------------------------

constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::int64_t kProtocol = 1001;

Bytes read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  Bytes bytes(std::filesystem::file_size(path));
  if (!in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())))
    bad(path, "cannot be read");
  return bytes;
}

void check_head(const std::filesystem::path& path, Machine& machine) {
  const auto& magic = machine.value(machine.run());
  if (magic.kind != pickle::Kind::big_integer || magic.text != kMagic)
    bad(path, "a pickle, but not one of torch.save", "expected a file written by torch.save");
  const auto& protocol = machine.value(machine.run());
  if (protocol.kind != pickle::Kind::integer || protocol.integer != kProtocol)
    bad(path, "an unknown version of PyTorch's legacy format");
  const auto& system = machine.value(machine.run());
  for (std::size_t i = 0; i + 1 < system.items.size(); i += 2)
    if (machine.value(system.items[i]).text == "little_endian" && machine.value(system.items[i + 1]).integer == 0)
      bad(path, "written on a big-endian machine", "load and save it again on a little-endian one");
}

/// After the pickles: for each key its number of elements (int64) and its bytes.
StateDict read_legacy(const std::filesystem::path& path, const std::string& key) {
  const Bytes file = read_whole(path);
  Machine machine(file, path.string());
  check_head(path, machine);
  const Ref root = machine.run();
  Collector collector(path, machine, pickle::find_state_dict(machine, root, key, path.string()));
  const Ref order = machine.run();
  std::map<std::string, const pickle::Storage*> storages;
  for (const auto& storage : machine.storages()) storages[storage.key] = &storage;
  std::uint64_t at = machine.position();
  const auto left = [&] { return file.size() - at; };
  for (const Ref item : machine.value(order).items) {
    const auto found = storages.find(machine.value(item).text);
    if (found == storages.end() || left() < 8) bad(path, "its list of storages does not fit its weights");
    const auto& storage = *found->second;
    std::int64_t count = 0;
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at), 8, reinterpret_cast<std::byte*>(&count));
    at += 8;
    if (count != storage.count)
      bad(path,
          fmt::format("storage {} has {} elements, {} expected", pickle::printable(storage.key), count, storage.count));
    const auto size = static_cast<std::uint64_t>(count) * bytes_of(storage.element);
    if (size > left())
      bad(path, fmt::format("truncated: storage {} wants {} bytes, {} are left", pickle::printable(storage.key), size,
                            left()));
    if (collector.wants(storage.key)) collector.give(storage.key, std::span(file).subspan(at, size));
    at += size;
  }
  return collector.finish(path);
}

bool is_zip(const std::string& head) { return head.starts_with("PK\x03\x04"); }
bool is_pickle(const std::string& head) {
  return head.size() >= 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5;
}

}  // namespace

bool looks_like_pytorch(const std::filesystem::path& path) {
  const auto head = first_bytes(path, 4);
  return is_zip(head) || is_pickle(head);
}

StateDict read_pytorch(const std::filesystem::path& path, const std::string& key) {
  const auto head = first_bytes(path, 4);
  if (is_zip(head)) return read_zip(path, key);
  if (is_pickle(head)) return read_legacy(path, key);
  bad(path, head.empty() ? "is empty" : "is not a PyTorch file (neither zip nor pickle)",
      "expected a file written by torch.save");
}

}  // namespace langrun
