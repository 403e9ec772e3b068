#include "jobs/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <optional>

#include "core/permutation.h"
#include "core/torch.h"
#include "data/loader.h"
#include "distributed/agreement.h"
#include "jobs/evaluation_flight.h"
#include "jobs/evaluation_nets.h"
#include "jobs/ledger.h"

namespace langrun {
namespace {

using Clock = std::chrono::steady_clock;

/// Which of `count` images enters when.
std::vector<std::size_t> entry_order(const PackingConfig& packing, std::size_t count, std::int64_t seed) {
  std::vector<std::size_t> order(count);
  Permutation shuffled(static_cast<std::uint64_t>(seed), 0, std::max<std::uint64_t>(count, 1));
  for (std::size_t i = 0; i < count; ++i) {
    order[i] = i;
    if (packing.order == "reverse") order[i] = count - 1 - i;
    if (packing.order == "shuffled") order[i] = shuffled(i);
  }
  return order;
}

at::Tensor numbers(float first, float second) { return torch::tensor({first, second}); }

}  // namespace

class Evaluation::Parts {
 public:
  Parts(const EvaluationConfig& config, Communicator& world) : config_(config), world_(world), nets_(config, world) {}

  ExitCode run(const EvaluationState& state, const EvaluationObserver& observer) {
    state_ = &state;
    observer_ = &observer;
    const auto start = Clock::now();
    waiting_.clear();
    for (const auto i : entry_order(config_.packing, config_.images.size(), config_.seed))
      if (!state.finished.contains(config_.images[i])) waiting_.push_back(i);
    finished_ = static_cast<std::int64_t>(state.finished.size());
    auto code = ExitCode::done;
    while (code == ExitCode::done && (!waiting_.empty() || !flights_.empty())) code = round();
    flights_.clear();
    seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
    return code;
  }

  EvaluationCounts counts() {
    std::array<std::uint64_t, 6> own{};
    if (const auto* pool = nets_.pool())
      own = {pool->counts().calls, pool->counts().moves, pool->counts().waiting, pool->counts().curvature};
    own[4] = nets_.calls().calls();
    own[5] = nets_.calls().backward_calls();
    EvaluationCounts sum;
    for (const auto& bytes : world_.gather_all("counts", std::as_bytes(std::span(own)))) {
      std::array<std::uint64_t, 6> other{};
      std::memcpy(other.data(), bytes.data(), sizeof other);
      sum.chains.calls += other[0];
      sum.chains.moves += other[1];
      sum.chains.waiting += other[2];
      sum.chains.curvature += other[3];
      sum.classifier_calls += other[4];
      sum.classifier_gradients += other[5];
    }
    sum.images = images_done_;
    sum.seconds = seconds_;
    return sum;
  }

  const EvaluationNets& nets() const { return nets_; }

 private:
  // Phases of a round, in the same order on every rank.
  ExitCode round() {
    world_.enter(fmt::format("round {}, chains", ++rounds_));
    admit();                                        // 1 images enter
    place();                                        // 2 replicates get a rank
    agree(world_, "evaluate", [&] { advance(); });  // 3 this rank's chains move
    world_.enter(fmt::format("round {}, answers", rounds_));
    answer();              // 4 whose replicates are all at their end: exchanged, and the image goes on
    leave();               // 5 images that are through
    return agreed_stop();  // 6 stop?
  }

  std::int64_t rank_places() const { return config_.packing.call * config_.packing.calls; }

  std::size_t most_in_flight() const {
    if (config_.packing.images > 0) return static_cast<std::size_t>(config_.packing.images);
    const auto replicates = std::max<std::int64_t>(
        1, config_.attack.kind == "none" ? config_.defense.replicates
                                         : std::min(config_.attack.replicates, config_.defense.replicates));
    const auto places = rank_places() * world_.size();
    // One more than fill all places, so that a new stage finds its chains' places taken by others and not empty.
    return static_cast<std::size_t>((places + replicates - 1) / replicates + 1);
  }

  void admit() {
    while (!waiting_.empty() && flights_.size() < most_in_flight()) {
      const auto i = waiting_.front();
      waiting_.pop_front();
      auto flight = std::make_unique<Flight>();
      flight->number = entered_++;
      auto image = load(i);
      flight->task = std::make_unique<StageTask>(
          evaluate_image(config_, nets_.judge().classes, std::move(image), flight->channel, flight->record));
      flight->task->start();
      begin_stage(*flight);
      flights_.push_back(std::move(flight));
    }
  }

  EvaluatedImage load(std::size_t i) const {
    EvaluatedImage image;
    image.index = config_.images[i];
    const std::array<std::uint64_t, 1> index{image.index};
    const auto shape = nets_.store().shape();
    std::vector<std::uint8_t> bytes(nets_.store().image_bytes());
    nets_.store().read(index, bytes);
    nets_.store().read_labels(index, std::span(&image.label, 1));
    image.pixels = torch::empty({shape.channels, shape.height, shape.width});
    to_unit_range(bytes, shape, Layout::channel_major,
                  {image.pixels.mutable_data_ptr<float>(), static_cast<std::size_t>(image.pixels.numel())});
    image.pictured = static_cast<std::int64_t>(i) < config_.gallery;
    const auto known = state_->naturals.find(image.index);
    if (known != state_->naturals.end()) image.natural = &known->second;
    return image;
  }

  void begin_stage(Flight& flight) {
    flight.task->check();
    flight.going_back = false;
    flight.replicates.clear();
    if (flight.task->done()) return;
    flight.replicates.resize(static_cast<std::size_t>(flight.channel.request().replicates));
  }

  std::int64_t rounds_of(const StageRequest& request) const { return request.bare ? 0 : nets_.rounds(); }

  /// Hands out replicates, image by image in the order of entry, each to the rank with the fewest chains under way.
  void place() {
    std::vector<std::int64_t> busy(static_cast<std::size_t>(world_.size()), 0), classified(busy);
    for (const auto& flight : flights_)
      for (const auto& replicate : flight->replicates)
        if (replicate.running()) ++busy[static_cast<std::size_t>(replicate.owner)];
    for (const auto& flight : flights_) {
      const auto& request = flight->channel.request();
      const auto rounds = rounds_of(request);
      for (std::size_t h = 0; h < flight->replicates.size(); ++h) {
        auto& replicate = flight->replicates[h];
        if (replicate.owner >= 0) continue;
        // What needs no chain takes no place, and is spread in the same way.
        auto& load = rounds > 0 ? busy : classified;
        const auto least = std::min_element(load.begin(), load.end());
        if (rounds > 0 && *least >= rank_places()) return;
        ++*least;
        replicate.owner = least - load.begin();
        replicate.rounds_left = rounds;
        if (replicate.owner == world_.rank()) replicate.chain = begin_chain(request, h);
      }
    }
  }

  std::unique_ptr<PooledChain> begin_chain(const StageRequest& request, std::size_t h) const {
    auto chain = std::make_unique<PooledChain>();
    chain->identity = chain_of(request.identity, h);
    chain->x = request.image.unsqueeze(0).to(nets_.device()).contiguous(at::MemoryFormat::ChannelsLast);
    chain->pathwise = request.gradient && request.pathwise && !request.bare;
    chain->first_energy = chain->last_energy = std::numeric_limits<float>::quiet_NaN();
    return chain;
  }

  void advance() {
    std::vector<PooledChain*> own;
    for (const auto& flight : flights_)
      for (auto& replicate : flight->replicates)
        if (replicate.running()) {
          if (replicate.chain) own.push_back(replicate.chain.get());
          --replicate.rounds_left;
        }
    if (!own.empty()) nets_.pool()->advance(own);
  }

  // An image that is answered may ask for its gradient at once; a new stage of it waits for the next round.
  void answer() {
    std::vector<Flight*> ended, back;
    for (const auto& flight : flights_) {
      if (flight->replicates.empty() || !flight->complete()) continue;
      (flight->going_back ? back : ended).push_back(flight.get());
    }
    if (!back.empty()) answer_gradients(back);
    if (!ended.empty()) answer_stages(ended);
  }

  void answer_stages(const std::vector<Flight*>& ended) {
    Ledger ledger;
    std::vector<at::Tensor> images;
    std::vector<bool> keep;
    agree(world_, "classify", [&] { classify(ended, images, keep, ledger); });
    ledger.exchange(world_, "logits");
    std::vector<Flight*> wanting;
    for (auto* flight : ended) {
      flight->channel.answer(read_answer(*flight, ledger));
      flight->channel.resume();
      flight->task->check();
      if (!flight->task->done() && flight->channel.cotangents()) {
        wanting.push_back(flight);
      } else {
        begin_stage(*flight);
      }
    }
    if (!wanting.empty()) begin_gradients(wanting);
    nets_.calls().forget();
  }

  void classify(const std::vector<Flight*>& ended, std::vector<at::Tensor>& images, std::vector<bool>& keep,
                Ledger& ledger) {
    for (auto* flight : ended)
      for (const auto& replicate : flight->replicates)
        if (replicate.chain) {
          replicate.chain->judged = images.size();
          images.push_back(replicate.chain->x);
          keep.push_back(flight->channel.request().gradient);
        }
    const auto logits = nets_.calls().logits(images, keep);
    std::int64_t at = 0;
    for (auto* flight : ended) {
      const auto& request = flight->channel.request();
      for (std::size_t h = 0; h < flight->replicates.size(); ++h) {
        const auto* chain = flight->replicates[h].chain.get();
        if (chain == nullptr) continue;
        const auto row = logits[at++];
        check_finite(row, *chain, request);
        ledger.add(row);
        ledger.add(numbers(chain->first_energy, chain->last_energy));
        if (h == 0 && request.pictured) ledger.add(chain->x.squeeze(0));
      }
    }
  }

  void check_finite(const at::Tensor& logits, const PooledChain& chain, const StageRequest& request) const {
    if (logits.isfinite().all().item<bool>() &&
        (config_.defended == false || request.bare || std::isfinite(chain.last_energy)))
      return;
    throw Error(ExitCode::diverged,
                fmt::format("a chain of image {} left all bounds: its logits or energies are not finite",
                            request.identity.image),
                "check --langevin.eta and --langevin.temperature against what the energy was trained with");
  }

  StageResult read_answer(const Flight& flight, Ledger& ledger) const {
    const auto& request = flight.channel.request();
    const auto count = static_cast<std::int64_t>(flight.replicates.size());
    StageResult result;
    result.logits = torch::empty({count, nets_.judge().classes});
    result.first_energy = torch::empty({count});
    result.last_energy = torch::empty({count});
    for (std::int64_t h = 0; h < count; ++h) {
      const auto owner = flight.replicates[static_cast<std::size_t>(h)].owner;
      result.logits[h].copy_(ledger.next(owner, {nets_.judge().classes}));
      const auto energies = ledger.next(owner, {2});
      result.first_energy[h].copy_(energies[0]);
      result.last_energy[h].copy_(energies[1]);
      if (h == 0 && request.pictured) result.purified = ledger.next(owner, request.image.sizes());
    }
    return result;
  }

  /// The classifier's part of the gradients: all of it for most attacks, the start of the way back for `full`.
  void begin_gradients(const std::vector<Flight*>& wanting) {
    std::vector<at::Tensor> found;
    agree(world_, "gradients", [&] { found = nets_.calls().gradients(own_wanted(wanting)); });
    std::size_t at = 0;
    std::vector<Flight*> through;
    for (auto* flight : wanting) {
      const auto& request = flight->channel.request();
      const bool back = request.pathwise && rounds_of(request) > 0;
      for (auto& replicate : flight->replicates) {
        if (back) replicate.rounds_left = nets_.rounds();
        if (replicate.chain) replicate.chain->cotangent = found[at++];
      }
      flight->going_back = true;
      if (!back) through.push_back(flight);
    }
    if (!through.empty()) answer_gradients(through);
  }

  static std::vector<JudgeCalls::Wanted> own_wanted(const std::vector<Flight*>& wanting) {
    std::vector<JudgeCalls::Wanted> wanted;
    for (const auto* flight : wanting)
      for (std::size_t h = 0; h < flight->replicates.size(); ++h)
        if (const auto* chain = flight->replicates[h].chain.get())
          wanted.push_back({chain->judged, (*flight->channel.cotangents())[static_cast<std::int64_t>(h)]});
    return wanted;
  }

  void answer_gradients(const std::vector<Flight*>& through) {
    Ledger ledger;
    for (auto* flight : through)
      for (const auto& replicate : flight->replicates)
        if (replicate.chain) ledger.add(replicate.chain->cotangent.squeeze(0));
    ledger.exchange(world_, "gradients");
    for (auto* flight : through) {
      std::vector<at::Tensor> gradients;
      for (const auto& replicate : flight->replicates)
        gradients.push_back(ledger.next(replicate.owner, flight->channel.request().image.sizes()));
      flight->channel.answer_gradients(torch::stack(gradients));
      flight->channel.resume();
      begin_stage(*flight);
    }
  }

  void leave() {
    std::vector<std::unique_ptr<Flight>> staying;
    for (auto& flight : flights_) {
      if (!flight->task->done()) {
        staying.push_back(std::move(flight));
        continue;
      }
      ++finished_;
      ++images_done_;
      done_.push_back(std::move(flight->record));
    }
    flights_ = std::move(staying);
    agree(world_, "keep records", [&] {
      if (world_.rank() == 0) {
        for (const auto& record : done_) observer_->finished(record);
        if (observer_->progress) observer_->progress(static_cast<std::int64_t>(flights_.size()));
      }
    });
    done_.clear();
  }

  ExitCode agreed_stop() {
    std::array<std::int64_t, 2> flags{observer_->stop_asked && observer_->stop_asked(), 0};
    if (world_.rank() == 0 && observer_->overtaken) flags[1] = observer_->overtaken();
    world_.maximum("go on or stop", flags);
    if (flags[1] != 0)
      throw Error(ExitCode::storage, "the evaluation was overtaken by a newer start of it",
                  "only one start of an evaluation goes on: the newest");
    if (flights_.empty() && waiting_.empty()) return ExitCode::done;
    const bool enough = state_->stop_at > 0 && finished_ >= state_->stop_at;
    return flags[0] != 0 || enough ? ExitCode::stopped : ExitCode::done;
  }

  EvaluationConfig config_;
  Communicator& world_;
  EvaluationNets nets_;
  const EvaluationState* state_ = nullptr;
  const EvaluationObserver* observer_ = nullptr;
  std::deque<std::size_t> waiting_;  ///< places in config_.images
  std::vector<std::unique_ptr<Flight>> flights_;
  std::vector<ImageRecord> done_;
  std::int64_t entered_ = 0, finished_ = 0, rounds_ = 0;
  std::uint64_t images_done_ = 0;
  double seconds_ = 0;
};

Evaluation::Evaluation(const EvaluationConfig& config, Communicator& world)
    : parts_(std::make_unique<Parts>(config, world)) {}
Evaluation::~Evaluation() = default;

std::int64_t Evaluation::classes() const { return judge().classes; }
std::vector<std::string> Evaluation::class_names() const { return parts_->nets().store().classes(); }
ImageShape Evaluation::image() const { return parts_->nets().store().shape(); }
const JudgeFacts& Evaluation::judge() const { return parts_->nets().judge(); }
bool Evaluation::piecewise_linear() const { return parts_->nets().piecewise_linear(); }
bool Evaluation::gaussian() const { return parts_->nets().gaussian(); }
bool Evaluation::energy_place_free() const { return parts_->nets().energy_place_free(); }
std::string Evaluation::device() const { return parts_->nets().device().str(); }
void Evaluation::keep_energy(const std::filesystem::path& path) const { parts_->nets().keep_energy(path); }
std::int64_t Evaluation::round_steps() const { return parts_->nets().round_steps(); }
ExitCode Evaluation::run(const EvaluationState& state, const EvaluationObserver& observer) {
  return parts_->run(state, observer);
}
EvaluationCounts Evaluation::counts() { return parts_->counts(); }

}  // namespace langrun
