#include "tests/standin/thread_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "distributed/tree_sum.h"

namespace langrun {
namespace {

using Bytes = std::vector<std::byte>;

/// What the ranks give to one collective, known by its number.
struct Meeting {
  std::string name;
  std::vector<Bytes> given;
  int came = 0, left = 0;
  bool clash = false;  // ranks gave to collectives of different names
};

/// Where the ranks meet.
class Hall {
 public:
  explicit Hall(int size) : size_(size), gone_(static_cast<std::size_t>(size)) {}

  int size() const { return size_; }

  void give(std::uint64_t number, const std::string& name, int rank, Bytes bytes) {
    const std::lock_guard lock(mutex_);
    auto& meeting = meetings_[number];
    if (meeting.came == 0) {
      meeting.name = name;
      meeting.given.resize(static_cast<std::size_t>(size_));
    } else if (meeting.name != name) {
      meeting.clash = true;
      changed_.notify_all();
      throw Error(ExitCode::rank, fmt::format("collective number {} is '{}' on rank {} and '{}' on others", number,
                                              name, rank, meeting.name));
    }
    meeting.given[static_cast<std::size_t>(rank)] = std::move(bytes);
    ++meeting.came;
    changed_.notify_all();
  }

  std::vector<Bytes> take(std::uint64_t number) {
    std::unique_lock lock(mutex_);
    auto& meeting = meetings_[number];
    changed_.wait(lock, [&] { return meeting.came == size_ || meeting.clash || absent(number) >= 0; });
    if (meeting.clash)
      throw Error(ExitCode::rank,
                  fmt::format("collective '{}' (number {}) has another name on another rank", meeting.name, number));
    if (meeting.came < size_)
      throw Error(ExitCode::rank,
                  fmt::format("collective '{}' (number {}): rank {} has left", meeting.name, number, absent(number)));
    auto given = meeting.given;
    if (++meeting.left == size_) meetings_.erase(number);
    return given;
  }

  void leave(int rank, std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    gone_[static_cast<std::size_t>(rank)] = number + 1;
    changed_.notify_all();
  }

 private:
  // A rank that left before it gave to this collective; -1 where there is none.
  int absent(std::uint64_t number) const {
    for (std::size_t rank = 0; rank < gone_.size(); ++rank)
      if (gone_[rank] > 0 && gone_[rank] - 1 < number) return static_cast<int>(rank);
    return -1;
  }

  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Meeting> meetings_;
  std::vector<std::uint64_t> gone_;  // by rank: one more than the number of its last collective; 0 while it is here
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Hall> hall, int rank) : hall_(std::move(hall)), rank_(rank) {}
  ~ThreadCommunicator() override { hall_->leave(rank_, number_); }

  int rank() const override { return rank_; }
  int size() const override { return hall_->size(); }
  int local_rank() const override { return rank_; }
  void barrier(const char* name) override { all(name, {}); }
  void broadcast(const char* name, std::span<std::byte> bytes, int root) override {
    const auto from = all(name, Bytes(bytes.begin(), bytes.end()))[static_cast<std::size_t>(root)];
    expect(name, from.size(), bytes.size());
    std::ranges::copy(from, bytes.begin());
  }
  std::vector<Bytes> gather_all(const char* name, std::span<const std::byte> bytes) override {
    return all(name, Bytes(bytes.begin(), bytes.end()));
  }
  void maximum(const char* name, std::span<std::int64_t> values) override {
    for (const auto& bytes : all(name, bytes_of(std::as_bytes(values)))) {
      expect(name, bytes.size(), values.size_bytes());
      for (std::size_t i = 0; i < values.size(); ++i) {
        std::int64_t other = 0;
        std::memcpy(&other, bytes.data() + i * sizeof(other), sizeof(other));
        values[i] = std::max(values[i], other);
      }
    }
  }
  void gather_blocks(const char* name, std::span<const float> own, std::span<float> blocks) override {
    const auto given = all(name, bytes_of(std::as_bytes(own)));
    for (std::size_t r = 0; r < given.size(); ++r) {
      expect(name, given[r].size(), own.size_bytes());
      std::memcpy(blocks.data() + r * own.size(), given[r].data(), own.size_bytes());
    }
  }
  Ticket begin_sum(const char* name, std::span<float> values) override {
    hall_->give(++number_, name, rank_, bytes_of(std::as_bytes(values)));
    sums_[number_] = {name, values};
    ++traffic_.sums;
    return number_;
  }
  void progress() override {}
  void finish_sum(Ticket ticket) override {
    const auto [name, values] = sums_.at(ticket);
    sums_.erase(ticket);
    std::vector<std::vector<float>> parts;
    std::vector<float*> pointers;
    for (const auto& bytes : hall_->take(ticket)) {
      expect(name.c_str(), bytes.size(), values.size_bytes());
      parts.emplace_back(values.size());
      std::memcpy(parts.back().data(), bytes.data(), bytes.size());
    }
    for (auto& part : parts) pointers.push_back(part.data());
    add_in_tree_order(pointers, values);
  }
  void sum_in_library_order(const char* name, std::span<float> values) override { finish_sum(begin_sum(name, values)); }
  Traffic traffic() const override { return traffic_; }
  void set_limit(double) override {}
  std::uint64_t begin_elsewhere(const char* name, std::uint64_t) override {
    elsewhere_.push_back({name});
    return elsewhere_.size();
  }
  void wait_elsewhere(const char*, std::uint64_t number, double) override {
    elsewhere_.at(number - 1).looked_after = true;
  }
  void end_elsewhere(std::uint64_t number, bool through) override {
    if (number == 0) return;
    elsewhere_.at(number - 1).end = through ? ElsewhereCall::End::through : ElsewhereCall::End::given_up;
  }
  const std::vector<ElsewhereCall>& elsewhere() const { return elsewhere_; }

 private:
  struct Sum {
    std::string name;
    std::span<float> values;
  };

  static Bytes bytes_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

  void expect(const char* name, std::size_t given, std::size_t wanted) const {
    if (given != wanted)
      throw Error(ExitCode::rank,
                  fmt::format("collective '{}': {} bytes of a rank where rank {} has {}", name, given, rank_, wanted));
  }

  std::vector<Bytes> all(const char* name, Bytes bytes) {
    hall_->give(++number_, name, rank_, std::move(bytes));
    return hall_->take(number_);
  }

  std::shared_ptr<Hall> hall_;
  int rank_;
  std::uint64_t number_ = 0;
  std::map<Ticket, Sum> sums_;
  Traffic traffic_;
  std::vector<ElsewhereCall> elsewhere_;
};

}  // namespace

const std::vector<ElsewhereCall>& elsewhere_of(const Communicator& world) {
  return dynamic_cast<const ThreadCommunicator&>(world).elsewhere();
}

std::vector<std::exception_ptr> run_ranks(int ranks, const std::function<void(Communicator&)>& part) {
  const auto hall = std::make_shared<Hall>(ranks);
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      ThreadCommunicator world(hall, rank);
      try {
        part(world);
      } catch (...) {
        thrown[static_cast<std::size_t>(rank)] = std::current_exception();
      }
    });
  for (auto& thread : threads) thread.join();
  return thrown;
}

std::string text_of(const std::exception_ptr& thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace langrun
