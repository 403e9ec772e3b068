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

#include "core/noise.h"
#include "core/permutation.h"
#include "core/torch.h"
#include "data/image_store.h"
#include "data/loader.h"
#include "data/weights_file.h"
#include "distributed/agreement.h"
#include "jobs/device.h"
#include "jobs/evaluation_flight.h"
#include "jobs/judge_calls.h"
#include "jobs/sampled_energy.h"

namespace langrun {
namespace {

using Clock = std::chrono::steady_clock;

TrainingConfig device_settings(const EvaluationConfig& config) {
  TrainingConfig training;
  training.threads = config.threads;
  training.device = config.device;
  return training;
}

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

/// Values of several ranks, appended by one and read in the same order by all.
class Ledger {
 public:
  void add(const at::Tensor& values) {
    const auto host = values.cpu().contiguous();
    const auto* from = host.const_data_ptr<float>();
    values_.insert(values_.end(), from, from + host.numel());
  }
  void exchange(Communicator& world, const char* name) {
    ranks_ = world.gather_all(name, std::as_bytes(std::span(values_)));
    read_.assign(ranks_.size(), 0);
  }
  /// The next values that rank `owner` added.
  at::Tensor next(std::int64_t owner, at::IntArrayRef shape) {
    auto out = torch::empty(shape);
    const auto bytes = static_cast<std::size_t>(out.numel()) * sizeof(float);
    const auto rank = static_cast<std::size_t>(owner);
    if (read_[rank] + bytes > ranks_[rank].size())
      throw Error(ExitCode::internal, fmt::format("rank {} exchanged less than was expected", owner));
    std::memcpy(out.mutable_data_ptr<float>(), ranks_[rank].data() + read_[rank], bytes);
    read_[rank] += bytes;
    return out;
  }

 private:
  std::vector<float> values_;
  std::vector<std::vector<std::byte>> ranks_;
  std::vector<std::size_t> read_;
};

at::Tensor numbers(float first, float second) { return torch::tensor({first, second}); }

}  // namespace

class Evaluation::Parts {
 public:
  Parts(const EvaluationConfig& config, Communicator& world)
      : config_(config), world_(world), device_(prepare_device(device_settings(config), world)) {
    agree(world_, "open data, energy and classifier", [&] { open(); });
    if (!energy_) return;
    // One rank that sees a difference is enough: calls have to be of one shape everywhere.
    std::array<std::int64_t, 1> bound{!place_free_};
    world_.maximum("places of a call", bound);
    place_free_ = bound[0] == 0;
    make_pool();
  }

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
    if (pool_) own = {pool_->counts().calls, pool_->counts().moves, pool_->counts().waiting, pool_->counts().curvature};
    own[4] = calls_->calls();
    own[5] = calls_->backward_calls();
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

  const ImageStore& store() const { return *store_; }
  const JudgeFacts& judge() const { return judge_->facts(); }
  void keep_energy(const std::filesystem::path& path) const { write_weights_file(path, energy_->parts()); }
  const at::Device& device() const { return device_; }
  bool piecewise_linear() const { return energy_ && energy_->piecewise_linear(); }
  bool gaussian() const { return energy_ && energy_->gaussian(); }
  bool energy_place_free() const { return place_free_; }
  std::int64_t round_steps() const { return round_steps_; }

 private:
  void open() {
    store_.emplace(ImageStore::open(config_.data));
    for (const auto image : config_.images)
      if (image >= store_->count())
        throw Error(ExitCode::usage,
                    fmt::format("image {} is asked for, {} has {}", image, config_.data.string(), store_->count()),
                    "--images A:B is half-open: 0:N are all of N");
    judge_ = open_judge_net(config_.classifier, store_->shape(), config_.packing.classifier_call,
                            config_.attack.kind != "none", device_);
    check_classes();
    calls_.emplace(*judge_);
    if (!config_.defended) return;
    energy_.emplace(config_.energy, device_);
    if (!(energy_->image() == store_->shape())) {
      const auto a = energy_->image(), b = store_->shape();
      throw Error(ExitCode::input,
                  fmt::format("the energy takes images of {} x {} x {}, {} has {} x {} x {}", a.height, a.width,
                              a.channels, config_.data.string(), b.height, b.width, b.channels),
                  "import the images at the energy's size");
    }
    const bool pathwise = attacks_pathwise(config_.attack);
    place_free_ = energy_->keeps_places(config_.packing.call, pathwise ? std::optional(smooth()) : std::nullopt);
  }

  /// Of the pathwise attacks' backward pass.
  Activation smooth() const { return {config_.attack.kind == "full-smooth" ? config_.attack.sharpness : 0}; }

  void make_pool() {
    const bool pathwise = attacks_pathwise(config_.attack);
    const auto steps = config_.langevin.steps;
    // A gradient's way back keeps a state a round and those of one round: fewest where both are sqrt(K).
    const auto about = pathwise ? std::llround(std::sqrt(static_cast<double>(steps))) : std::int64_t{32};
    round_steps_ = steps_of_round(steps, std::max<std::int64_t>(about, 1));
    auto langevin = config_.langevin;
    langevin.temperature = energy_->temperature();
    pool_.emplace(energy_->sampler(), energy_->curvature(smooth()),
                  ChainPoolConfig{langevin, noise_key(static_cast<std::uint64_t>(config_.seed), Stream::evaluation_chain),
                                  place_free_ ? config_.packing.call : 1, round_steps_});
  }

  void check_classes() const {
    const auto& names = store_->classes();
    const auto& known = judge_->facts().class_names;
    constexpr const char* kSame = "data and classifier must have the same classes, in the same order";
    if (known.size() == names.size()) {
      const auto other = std::mismatch(names.begin(), names.end(), known.begin());
      if (other.first != names.end())
        throw Error(ExitCode::input,
                    fmt::format("classifier {} was trained with the class '{}' where {} has '{}'", config_.classifier.file,
                                *other.second, config_.data.string(), *other.first),
                    kSame);
    }
    if (static_cast<std::int64_t>(names.size()) == judge_->facts().classes) return;
    throw Error(ExitCode::input,
                fmt::format("classifier {} tells {} classes apart, {} has {}", config_.classifier.file,
                            judge_->facts().classes, config_.data.string(), names.size()),
                kSame);
  }

  // Phases of a round, in the same order on every rank.
  ExitCode round() {
    world_.enter(fmt::format("round {}, chains", ++rounds_));
    admit();                            // 1 images enter
    place();                            // 2 replicates get a rank
    agree(world_, "evaluate", [&] { advance(); });  // 3 this rank's chains move
    world_.enter(fmt::format("round {}, answers", rounds_));
    answer();                           // 4 whose replicates are all at their end: exchanged, and the image goes on
    leave();                            // 5 images that are through
    return agreed_stop();               // 6 stop?
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
      flight->task = std::make_unique<StageTask>(evaluate_image(config_, judge_->facts().classes, std::move(image),
                                                                flight->channel, flight->record));
      flight->task->start();
      begin_stage(*flight);
      flights_.push_back(std::move(flight));
    }
  }

  EvaluatedImage load(std::size_t i) const {
    EvaluatedImage image;
    image.index = config_.images[i];
    const std::array<std::uint64_t, 1> index{image.index};
    const auto shape = store_->shape();
    std::vector<std::uint8_t> bytes(store_->image_bytes());
    store_->read(index, bytes);
    store_->read_labels(index, std::span(&image.label, 1));
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

  std::int64_t rounds_of(const StageRequest& request) const { return request.bare || !pool_ ? 0 : pool_->rounds(); }

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
    chain->x = request.image.unsqueeze(0).to(device_).contiguous(at::MemoryFormat::ChannelsLast);
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
    if (!own.empty()) pool_->advance(own);
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
    calls_->forget();
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
    const auto logits = calls_->logits(images, keep);
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
    if (logits.isfinite().all().item<bool>() && (config_.defended == false || request.bare || std::isfinite(chain.last_energy)))
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
    result.logits = torch::empty({count, judge_->facts().classes});
    result.first_energy = torch::empty({count});
    result.last_energy = torch::empty({count});
    for (std::int64_t h = 0; h < count; ++h) {
      const auto owner = flight.replicates[static_cast<std::size_t>(h)].owner;
      result.logits[h].copy_(ledger.next(owner, {judge_->facts().classes}));
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
    agree(world_, "gradients", [&] { found = calls_->gradients(own_wanted(wanting)); });
    std::size_t at = 0;
    std::vector<Flight*> through;
    for (auto* flight : wanting) {
      const auto& request = flight->channel.request();
      const bool back = request.pathwise && !request.bare && pool_.has_value();
      for (auto& replicate : flight->replicates) {
        if (back) replicate.rounds_left = pool_->rounds();
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
  at::Device device_;
  std::optional<ImageStore> store_;
  std::unique_ptr<JudgeNet> judge_;
  std::optional<JudgeCalls> calls_;
  std::optional<SampledEnergy> energy_;
  std::optional<ChainPool> pool_;
  std::int64_t round_steps_ = 1;
  bool place_free_ = true;
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

std::int64_t Evaluation::classes() const { return parts_->judge().classes; }
std::vector<std::string> Evaluation::class_names() const { return parts_->store().classes(); }
ImageShape Evaluation::image() const { return parts_->store().shape(); }
const JudgeFacts& Evaluation::judge() const { return parts_->judge(); }
bool Evaluation::piecewise_linear() const { return parts_->piecewise_linear(); }
bool Evaluation::gaussian() const { return parts_->gaussian(); }
bool Evaluation::energy_place_free() const { return parts_->energy_place_free(); }
std::string Evaluation::device() const { return parts_->device().str(); }
void Evaluation::keep_energy(const std::filesystem::path& path) const { parts_->keep_energy(path); }
std::int64_t Evaluation::round_steps() const { return parts_->round_steps(); }
ExitCode Evaluation::run(const EvaluationState& state, const EvaluationObserver& observer) {
  return parts_->run(state, observer);
}
EvaluationCounts Evaluation::counts() { return parts_->counts(); }

}  // namespace langrun
