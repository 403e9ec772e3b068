#include "jobs/doctor.h"

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <sstream>

#include "core/noise.h"
#include "core/versions.h"
#include "data/hdf5.h"
#include "data/image_store.h"
#include "distributed/agreement.h"
#include "distributed/device_binding.h"
#include "distributed/link_probe.h"
#include "distributed/tournament.h"
#include "distributed/versions.h"
#include "jobs/doctor_folder.h"
#include "jobs/doctor_links.h"
#include "jobs/doctor_nccl.h"
#include "jobs/host_report.h"

namespace langrun {
namespace {

using Clock = std::chrono::steady_clock;

/// The hosts of all ranks, and the checks in turn.
class Examination {
 public:
  Examination(const DoctorConfig& config, Communicator& world, const ShowFinding& show)
      : config_(config), world_(world), show_(show), hosts_(by_rank(world, "hosts", host_name())) {}

  std::vector<Finding> run() {
    versions();
    features();
    threads();
    memory();
    limits();
    if (world_.size() > 1) probe_.emplace(config_.limit);
    gpus();
    links();
    clocks();
    folder();
    data();
    return findings_;
  }

 private:
  void add(const Finding& finding) {
    findings_.push_back(finding);
    show_(finding);
  }

  void versions() {
    auto own = fmt::format("langrun {}, LibTorch {}, {}, HDF5 {}", config_.program, torch_version(),
                           mpi_library_version(), h5::library_version());
    if (const auto nccl = nccl_library_version(); !nccl.empty()) own += ", NCCL " + nccl;
    add(equal_verdict("versions", by_rank(world_, "versions", own), hosts_,
                      "start the same build everywhere: is PATH or LD_LIBRARY_PATH another there?", ExitCode::usage));
  }

  void features() {
    add(equal_verdict("processors", by_rank(world_, "processors", processor_features()), hosts_,
                      "equal bits need equal processors: ask for one kind of node (Slurm: --constraint)",
                      ExitCode::usage));
  }

  void threads() {
    std::string own;
    for (const int core : allowed_cores()) own += fmt::format("{} ", core);
    const auto texts = by_rank(world_, "cores", own);
    std::vector<CoreReport> reports;
    for (std::size_t rank = 0; rank < texts.size(); ++rank) {
      reports.push_back({hosts_[rank], {}});
      std::istringstream in(texts[rank]);
      for (int core = 0; in >> core;) reports.back().cores.push_back(core);
    }
    add(threads_verdict(reports, config_.threads));
  }

  std::vector<double> numbers(const char* name, double own) {
    std::vector<double> values;
    for (const auto& text : by_rank(world_, name, fmt::format("{}", own))) values.push_back(std::stod(text));
    return values;
  }

  void memory() { add(memory_verdict(numbers("memory", available_memory()), hosts_, config_.memory_needed)); }

  void limits() {
    const auto own = process_limits();
    const auto files = numbers("open files", own.open_files), space = numbers("address space", own.address_space),
               segment = numbers("data segment", own.data_segment),
               shared = numbers("shared memory", own.shared_memory);
    std::vector<LimitsReport> reports;
    for (std::size_t rank = 0; rank < hosts_.size(); ++rank)
      reports.push_back({hosts_[rank], files[rank], space[rank], segment[rank], shared[rank]});
    add(limits_verdict(reports, config_.memory_needed, config_.thresholds));
  }

  // With --reduction tree ranks may share a GPU; that is worth a word all the same.
  void gpus() {
    DeviceBinding binding;
    try {
      binding = bind_device(world_, config_.device);
    } catch (const Error& error) {
      add({"GPUs", Health::broken, error.what(), error.hint(), error.code()});
      return;
    }
    if (!binding.cuda) {
      add({"GPUs", Health::ok, config_.device == "cpu" ? "not asked for" : "no GPU", {}});
      return;
    }
    add(equal_verdict("GPUs", by_rank(world_, "GPUs", binding.name), hosts_,
                      "equal bits need equal GPUs: ask for one kind of node", ExitCode::usage));
    if (world_.size() > 1) add(nccl_verdict(hosts_, config_, *probe_, world_));
  }

  void links() {
    const auto ranks = static_cast<std::int64_t>(world_.size());
    std::string own;
    for (const int round : chosen_rounds(world_.size(), static_cast<int>(config_.rounds))) {
      world_.barrier("pairs of ranks");
      const int partner = tournament_partner(world_.size(), round, world_.rank());
      if (partner < 0) continue;
      const auto link = probe_->measure(partner, static_cast<std::size_t>(config_.link_bytes));
      own += link_text(partner, link);
    }
    add(links_verdict(links_of(by_rank(world_, "links", own), hosts_), ranks * (ranks - 1) / 2, config_.network_needed,
                      config_.thresholds));
  }

  void clocks() {
    std::string own;
    world_.barrier("clocks");
    for (int other = 1; other < world_.size(); ++other) {
      if (world_.rank() != 0 && world_.rank() != other) continue;
      const auto ahead = probe_->clock_ahead(world_.rank() == 0 ? other : 0);
      if (world_.rank() == 0) own += ahead ? fmt::format("{} ", *ahead) : "- ";
    }
    std::vector<std::optional<double>> ahead{0.0};
    std::istringstream in(by_rank(world_, "clocks", own).front());
    for (std::string word; in >> word;) ahead.push_back(word == "-" ? std::nullopt : std::optional(std::stod(word)));
    add(clock_verdict(ahead, hosts_, config_.thresholds));
  }

  void folder() {
    if (config_.run.empty()) return;
    try {
      for (const auto& finding : examine_folder(config_, world_)) add(finding);
    } catch (const Error& error) {
      add({"run folder", Health::broken, error.what(),
           error.hint().empty()
               ? "it must be one folder that every rank can write, on a file system that all hosts share"
               : error.hint(),
           error.code()});
    }
  }

  void data() {
    if (config_.data.empty()) return;
    try {
      std::string own;
      agree(world_, "read the data", [&] { own = read_data(); });
      std::vector<DataReport> reports;
      for (const auto& text : by_rank(world_, "data", own)) {
        DataReport report{hosts_[reports.size()], {}};
        std::istringstream in(text);
        in >> report.images_a_second >> report.bytes_a_second >> std::ws;
        std::getline(in, report.summary);
        reports.push_back(report);
      }
      add(data_verdict(reports, config_.read_needed));
    } catch (const Error& error) {
      add({"data", Health::broken, error.what(),
           error.hint().empty() ? "every rank reads the store: it must be there on every host" : error.hint(),
           error.code()});
    }
  }

  // Some images of all over the store, others on every rank: "IMAGES_A_SECOND BYTES_A_SECOND SUMMARY".
  std::string read_data() const {
    constexpr std::uint64_t kImages = 256;
    const auto store = ImageStore::open(config_.data, Accept::any_type);
    std::vector<std::uint64_t> indices;
    const auto key = noise_key(1, Stream::data_order);
    for (std::uint64_t i = 0; i < std::min(kImages, store.count()); ++i)
      indices.push_back(uniform_integer(key, {static_cast<std::uint64_t>(world_.rank()), 0},
                                        static_cast<std::uint32_t>(i), store.count()));
    std::vector<std::uint8_t> images(indices.size() * store.image_bytes());
    const auto start = Clock::now();
    store.read(indices, images);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const auto shape = store.shape();
    const double rate = static_cast<double>(indices.size()) / std::max(seconds, 1e-9);
    return fmt::format("{} {} {} images of {} x {} x {}, {} classes{}", rate,
                       rate * static_cast<double>(store.image_bytes()), store.count(), shape.channels, shape.height,
                       shape.width, store.classes().size(), store.content() ? ", content " + *store.content() : "");
  }

  const DoctorConfig& config_;
  Communicator& world_;
  const ShowFinding& show_;
  std::vector<std::string> hosts_;
  std::optional<LinkProbe> probe_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine(const DoctorConfig& config, Communicator& world, const ShowFinding& show) {
  return Examination(config, world, show).run();
}

}  // namespace langrun
