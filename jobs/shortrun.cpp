// One training step of shortrun learning stands in `Shortrun::step`, phase by phase; docs/one_step.md walks through it.
#include "jobs/shortrun.h"

#include <fmt/format.h>

#include <chrono>
#include <numeric>
#include <optional>

#include "core/bank.h"
#include "core/device_transfer.h"
#include "core/langevin.h"
#include "core/optimizer.h"
#include "core/schedule.h"
#include "core/torch.h"
#include "core/updates.h"
#include "jobs/bank_file.h"
#include "jobs/chain_start.h"
#include "jobs/chain_starts.h"
#include "jobs/device.h"
#include "jobs/learner.h"
#include "jobs/module_weights.h"
#include "jobs/run_keys.h"
#include "jobs/snapshot.h"
#include "jobs/training_data.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

/// Seconds of this step by phase group.
class Timer {
 public:
  explicit Timer(double& seconds) : seconds_(seconds) {}
  ~Timer() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  double& seconds_;
  Clock::time_point start_ = Clock::now();
};

/// What one lane carries through a step.
struct LaneWork {
  std::int64_t lane = 0;
  std::vector<std::int64_t> rows;         ///< of the bank, as drawn; empty without a bank
  std::vector<std::uint64_t> slots;       ///< bank slots, or places in the batch without a bank
  std::vector<std::uint8_t> rejuvenated;  ///< per sample
  at::Tensor latents, host_latents;       ///< [b, nz]; the second in host memory
  at::Tensor data;                        ///< [b, C, H, W], noise added
  at::Tensor chains;                      ///< [b, C, H, W], starts before sampling, chains after
  SampledChains sampled;                  ///< to be read once the sampler has finished
};

/// Scalars that ride at the end of the energy's reduction, summed over lanes.
enum EnergyScalar { kDataEnergy, kChainEnergy, kMagnitude, kRejuvenated, kUpdates, kEnergyScalars };

BatchNormUse batch_norm_use(const std::string& name) { return name == "lane" ? BatchNormUse::lane : BatchNormUse::off; }

/// The first images of a batch as a panel.
Panel panel_of(const std::string& title, const at::Tensor& images, std::int64_t most) {
  const auto count = std::min(most, images.size(0));
  const auto pixels = images.narrow(0, 0, count).to(torch::kCPU).permute({0, 2, 3, 1}).contiguous();
  return {title,          count,
          images.size(1), images.size(2),
          images.size(3), {pixels.const_data_ptr<float>(), pixels.const_data_ptr<float>() + pixels.numel()}};
}

class Shortrun final : public TrainingJob {
 public:
  Shortrun(const ShortrunConfig& config, Communicator& world)
      : config_(config), start_(chain_start(config.init)), world_(world),
        lanes_(lanes_of(config.training.lanes, world.rank(), world.size())),
        lane_batch_(lane_batch(config.training.batch, config.training.lanes)),
        device_(prepare_device(config.training, world)), reduction_(config.training, device_, world, lanes_),
        keys_(static_cast<std::uint64_t>(config.training.seed)),
        energy_(config.energy, config.energy_learning, config.training, device_, reduction_, kEnergyScalars),
        data_(config.training, lanes_, energy_.image()) {
    if (uses_generator(start_))
      generator_.emplace(config.generator, config.generator_learning, batch_norm_use(config.batch_norm),
                         config.training, device_, reduction_, energy_.image());
    if (uses_bank(start_) && config.bank_size / lanes_.count < lane_batch_)
      throw Error(ExitCode::usage,
                  fmt::format("a bank of {} has {} slots a lane, a step draws {}", config.bank_size,
                              config.bank_size / lanes_.count, lane_batch_),
                  fmt::format("use --bank.size {} or more", config.training.batch));
  }

  std::vector<Fact> facts() const override;

  void start() override {
    if (!uses_bank(start_)) return;
    for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane) bank_.push_back(fill_lane(lane));
  }

  StepRecord step(std::int64_t step) override {
    double sample = 0, update = 0;
    // ---- 1 draw: bank slots (some of them rejuvenated) and data, lane by lane ----
    // ---- 2 sample: K Langevin steps from the drawn images ----
    std::vector<LaneWork> work;
    for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane) {
      {
        const Timer timer(update);
        work.push_back(draw(lane, step));
      }
      const Timer timer(sample);
      if (lane == lanes_.first) energy_.refresh_frozen();
      sample_chains(work.back(), step);
    }
    {
      const Timer timer(sample);
      finish_chains(work);
    }
    StepRecord record;
    {
      record.seconds_checkpoint.avg = keep_for_checkpoint(work);
      const Timer timer(update);
      // ---- 3 energy update: lane gradients, summed in tree order; then clip, optimiser, average ----
      // ---- 4 generator update: likewise, on the same chains; its lanes run while the energy's sums travel ----
      add_energy_lanes(work);
      if (generator_) add_generator_lanes(work);
      // Both are through before either is judged: an error must not leave while messages are on their way.
      energy_.wait();
      if (generator_) generator_->wait();
      update_energy(step, record);
      if (generator_) update_generator(step, record);
      // ---- 5 return chains and latents to their slots ----
      return_to_bank(work);
    }
    // ---- 6 record ----
    record.learning_rate = energy_.learning_rate(step);
    record.image_steps_per_second = static_cast<double>(config_.training.batch * config_.langevin.steps);
    record.seconds_sample.avg = sample;
    const double exchange = energy_.take_seconds() + (generator_ ? generator_->take_seconds() : 0);
    record.seconds_update.avg = update - exchange;
    record.seconds_exchange.avg = exchange;
    record.more.emplace_back("seconds_data", data_.take_seconds_waited());
    return record;
  }

  std::unique_ptr<Snapshot> snapshot() override {
    std::vector<WeightsPart> weights;
    if (world_.rank() == 0) {
      energy_.copy_to(weights);
      if (generator_) generator_->copy_to(weights);
      weights.push_back(copied_part("optimizer", optimizer_state(), {}));
    }
    auto snapshot = std::make_unique<StateSnapshot>(std::move(weights), bank_, lanes_.first, lanes_.count);
    frozen_ = snapshot->bank();
    return snapshot;
  }

  void load(const fs::path& folder) override {
    const WeightsFile file(folder / "weights.h5");
    energy_.load(file);
    if (generator_) generator_->load(file);
    auto state = optimizer_state();
    for (auto& [name, tensor] : state) tensor = torch::empty_like(tensor);
    read_part(file, "optimizer", state);
    energy_.restore_optimizer(state);
    if (generator_) generator_->restore_optimizer(state);
    if (!uses_bank(start_)) return;
    for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane)
      bank_.push_back(read_bank_lane(folder, lane, lanes_.count, lanes_.rows(lane, config_.bank_size), energy_.image(),
                                     latent_length()));
  }

  std::vector<Panel> pictures() override;

 private:
  std::int64_t latent_length() const { return generator_ ? generator_->latent_length() : 0; }

  NamedTensors optimizer_state() const {
    auto state = energy_.optimizer_state();
    if (generator_)
      for (auto& entry : generator_->optimizer_state()) state.push_back(std::move(entry));
    return state;
  }

  // Design invariant 1: a bank is filled in lane-shaped calls, the last one padded, so that every image comes from a
  // call of the one shape.
  BankLane fill_lane(std::int64_t lane) {
    const torch::NoGradGuard constant;
    const auto rows = lanes_.rows(lane, config_.bank_size);
    auto bank = BankLane::make(rows, energy_.image(), latent_length());
    for (std::int64_t first = 0; first < rows; first += lane_batch_) {
      const auto count = std::min(lane_batch_, rows - first);
      std::vector<std::uint64_t> slots;
      for (std::int64_t i = 0; i < lane_batch_; ++i)
        slots.push_back(static_cast<std::uint64_t>(lanes_.slot(lane, first + i)));
      const auto made = fresh(slots, 0, keys_.bank_fill);
      bank.images.narrow(0, first, count).copy_(made.images.narrow(0, 0, count));
      if (latent_length() > 0) bank.latents.narrow(0, first, count).copy_(made.latents.narrow(0, 0, count));
    }
    return bank;
  }

  struct Fresh {
    at::Tensor images, latents;  // [b, C, H, W]; [b, nz], nz = 0 where chains have none
  };

  /// New images (and latents) for slots, as the chosen start makes them.
  Fresh fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) {
    if (!generator_) return {fresh_images(slots, step, key), torch::empty({lane_batch_, 0})};
    const auto latents = fresh_latents(slots, step, key, latent_length());
    return {generator_->images(latents), latents};
  }

  at::Tensor fresh_images(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) {
    if (start_ == ChainStart::data || start_ == ChainStart::data_persistent)
      return data_images(data_, slots, step, key);
    return uniform_images(energy_.image(), slots, step, key);
  }

  LaneWork draw(std::int64_t lane, std::int64_t step) {
    const torch::NoGradGuard constant;
    LaneWork work;
    work.lane = lane;
    work.data = to_device(data_.noisy_batch(lane, step, keys_.data_noise, config_.data_noise), device_);
    work.rejuvenated.assign(static_cast<std::size_t>(lane_batch_), 1);
    if (!uses_bank(start_)) {
      for (std::int64_t i = 0; i < lane_batch_; ++i)
        work.slots.push_back(static_cast<std::uint64_t>(lanes_.slot(lane, i)));
      auto made = fresh(work.slots, step, keys_.rejuvenation);
      work.chains = to_device(made.images, device_);
      work.latents = to_device(made.latents, device_);
      return work;
    }
    const auto& bank = bank_[static_cast<std::size_t>(lane - lanes_.first)];
    work.rows = draw_rows(keys_.bank_draw, lane, step, bank.rows(), lane_batch_);
    for (const auto row : work.rows) work.slots.push_back(static_cast<std::uint64_t>(lanes_.slot(lane, row)));
    work.chains = bank.take_images(work.rows);
    work.latents = bank.take_latents(work.rows);
    rejuvenate(work, bank, step);
    work.chains = to_device(work.chains, device_);
    work.host_latents = work.latents;
    work.latents = to_device(work.latents, device_);
    return work;
  }

  // With training-mode batch norm the generator runs on all drawn latents, new and old, and only the new images are
  // kept: a call of any other shape would give other statistics.
  void rejuvenate(LaneWork& work, const BankLane& bank, std::int64_t step) {
    bool any = false;
    for (std::size_t i = 0; i < work.slots.size(); ++i) {
      const auto updates = bank.updates[static_cast<std::size_t>(work.rows[i])];
      work.rejuvenated[i] = rejuvenates(keys_.rejuvenation, work.slots[i], step, updates, config_.rejuvenation);
      any = any || work.rejuvenated[i];
    }
    if (!any) return;
    const auto mask = torch::from_blob(work.rejuvenated.data(), {lane_batch_}, torch::kUInt8).to(torch::kBool);
    if (generator_) {
      const auto latents = fresh_latents(work.slots, step, keys_.rejuvenation, latent_length());
      work.latents = torch::where(mask.view({-1, 1}), latents, work.latents);
      const auto images = generator_->images(work.latents).to(torch::kCPU);
      work.chains = torch::where(mask.view({-1, 1, 1, 1}), images, work.chains);
    } else {
      const auto images = fresh_images(work.slots, step, keys_.rejuvenation);
      work.chains = torch::where(mask.view({-1, 1, 1, 1}), images, work.chains);
    }
  }

  // On a GPU the lane is only begun: the next one is drawn and uploaded, and runs beside it.
  void sample_chains(LaneWork& work, std::int64_t step) {
    // Noise belongs to the chain (design invariant 2): slot and step name it, whatever rank or place it has.
    ChainNoise noise{keys_.langevin, {}, 0};
    for (const auto slot : work.slots)
      noise.identities.push_back(chain_identity(slot, static_cast<std::uint64_t>(step)));
    work.sampled = energy_.sampler().start(work.chains, config_.langevin, noise);
  }

  void finish_chains(std::vector<LaneWork>& work) {
    energy_.sampler().finish();
    for (auto& lane : work) lane.chains = lane.sampled.chains;
  }

  void add_energy_lanes(const std::vector<LaneWork>& work) {
    for (const auto& lane : work)
      energy_.add_lane([&] {
        const auto result =
            energy_lane_gradients(energy_.network(), lane.data, lane.chains, config_.langevin.temperature);
        std::vector<float> scalars(kEnergyScalars);
        scalars[kDataEnergy] = result.data_energy;
        scalars[kChainEnergy] = result.chain_energy;
        scalars[kMagnitude] =
            config_.langevin.steps > 0 ? lane.sampled.record.gradient_magnitude.mean().item<float>() : 0.0f;
        for (const auto flag : lane.rejuvenated) scalars[kRejuvenated] += flag;
        scalars[kUpdates] = rounds_in_lane(lane);
        return scalars;
      });
  }

  void update_energy(std::int64_t step, StepRecord& record) {
    const auto sums = energy_.take();
    energy_.apply(step);
    const auto lanes = static_cast<double>(lanes_.count);
    const double data = sums[kDataEnergy] / lanes, chains = sums[kChainEnergy] / lanes;
    record.energy_difference = (data - chains) / config_.langevin.temperature;
    record.gradient_magnitude = sums[kMagnitude] / lanes;
    record.more = {{"energy_data", data}, {"energy_chains", chains}};
    if (uses_bank(start_)) {
      record.bank_mean_age = sums[kUpdates] / static_cast<double>(config_.bank_size);
      record.more.emplace_back("rejuvenated", sums[kRejuvenated]);
    }
  }

  /// Rounds since rejuvenation, summed over the lane's slots, as they will stand once this step's chains are returned.
  float rounds_in_lane(const LaneWork& work) const {
    if (bank_.empty()) return 0;
    const auto& updates = bank_[static_cast<std::size_t>(work.lane - lanes_.first)].updates;
    auto sum = std::accumulate(updates.begin(), updates.end(), std::int64_t{0});
    for (std::size_t i = 0; i < work.rows.size(); ++i) {
      const auto before = updates[static_cast<std::size_t>(work.rows[i])];
      sum += rounds_after(before, work.rejuvenated[i] != 0) - before;
    }
    return static_cast<float>(sum);
  }

  /// A slot just rejuvenated has had one round when it returns, as the paper counts.
  static std::int64_t rounds_after(std::int64_t before, bool rejuvenated) { return (rejuvenated ? 0 : before) + 1; }

  void add_generator_lanes(const std::vector<LaneWork>& work) {
    for (const auto& lane : work) generator_->add_lane(lane.latents, lane.chains);
  }

  void update_generator(std::int64_t step, StepRecord& record) {
    record.generator_loss = generator_->take();
    generator_->apply(step);
    record.more.emplace_back("generator_learning_rate", generator_->learning_rate(step));
  }

  /// Rows that a checkpoint in the background has still to read, before they are overwritten. Returns seconds.
  double keep_for_checkpoint(const std::vector<LaneWork>& work) {
    const auto frozen = frozen_.lock();
    double seconds = 0;
    if (frozen)
      for (const auto& lane : work)
        seconds += frozen->keep(static_cast<std::size_t>(lane.lane - lanes_.first), lane.rows);
    return seconds;
  }

  void return_to_bank(const std::vector<LaneWork>& work) {
    if (bank_.empty()) return;
    for (const auto& lane : work) {
      auto& bank = bank_[static_cast<std::size_t>(lane.lane - lanes_.first)];
      bank.put(lane.rows, lane.sampled.host, lane.host_latents);
      for (std::size_t i = 0; i < lane.rows.size(); ++i) {
        const auto row = static_cast<std::size_t>(lane.rows[i]);
        bank.updates[row] = rounds_after(bank.updates[row], lane.rejuvenated[i] != 0);
        bank.visits[row] += 1;
      }
    }
  }

  const ShortrunConfig config_;
  const ChainStart start_;
  Communicator& world_;
  const Lanes lanes_;
  const std::int64_t lane_batch_;
  const at::Device device_;
  const Reduction reduction_;  // before the learners, whose reducers it serves
  const RunKeys keys_;
  EnergyLearner energy_;
  TrainingData data_;
  std::optional<GeneratorLearner> generator_;
  std::vector<BankLane> bank_;        // the lanes this rank owns, in order; empty without a bank
  std::weak_ptr<FrozenBank> frozen_;  // while a checkpoint is being written
};

std::vector<Fact> Shortrun::facts() const {
  const auto size = [](double bytes) { return bytes_text(static_cast<std::uint64_t>(bytes)); };
  const auto image = energy_.image();
  const auto weights = weight_count(energy_.network()), generator_weights = generator_ ? generator_->weights() : 0;
  const double ranks = world_.size(),
               exchanged = 4.0 * static_cast<double>(weights + generator_weights) * 2 * (ranks - 1) / ranks;
  std::vector<Fact> facts{
      {"image", fmt::format("{} x {} x {}", image.channels, image.height, image.width)},
      {"energy weights", with_thousands(weights)},
      {"generator weights", with_thousands(generator_weights)},
      {"gradient weight eta^2/(2T)", fmt::format("{:.6g}", config_.langevin.gradient_weight())},
      {"training images", with_thousands(static_cast<std::int64_t>(data_.count()))},
      {"steps an epoch",
       fmt::format("{:.1f}", static_cast<double>(data_.count()) / static_cast<double>(config_.training.batch))},
      {"ranks x threads", fmt::format("{} x {}", world_.size(), config_.training.threads)},
      {"lanes a rank", fmt::format("{} of {} samples", lanes_.owned, lane_batch_)},
      {"device", device_.str()},
      {"products of sampling", products_of_sampling(config_.training.precision, device_)},
      {"exchanged a rank and step", size(exchanged)},
  };
  if (uses_bank(start_)) {
    const double bytes =
        static_cast<double>(config_.bank_size) * (4.0 * static_cast<double>(image.elements() + latent_length()) + 16);
    facts.push_back({"bank, all ranks", size(bytes)});
    facts.push_back({"bank, a rank", size(bytes / ranks)});
  }
  return facts;
}

std::vector<Panel> Shortrun::pictures() {
  const torch::NoGradGuard constant;
  constexpr std::int64_t kPictures = 64;
  std::vector<Panel> panels;
  // The evaluation the papers use: fresh starts, then Langevin steps under the network that is shown. In lane-shaped
  // calls, so that a picture does not depend on how many images it has.
  const auto average = energy_.has_average();
  std::vector<at::Tensor> starts, samples;
  auto config = config_.langevin;
  if (config_.evaluation_steps > 0) config.steps = config_.evaluation_steps;
  energy_.refresh_frozen(average);
  for (std::int64_t first = 0; first < kPictures; first += lane_batch_) {
    std::vector<std::uint64_t> places;
    for (std::int64_t i = 0; i < lane_batch_; ++i) places.push_back(static_cast<std::uint64_t>(first + i));
    at::Tensor images;
    if (generator_)
      images = generator_->images_for_evaluation(fresh_latents(places, 0, keys_.sample, latent_length()).to(device_));
    else
      images = fresh_images(places, 0, keys_.sample).to(device_);
    starts.push_back(images);
    ChainNoise noise{keys_.sample, {}, 0};
    for (const auto place : places) noise.identities.push_back(chain_identity(place, 1));
    samples.push_back(energy_.sampler().run(images, config, noise));
  }
  const char* weights = average ? "average weights" : "raw weights";
  panels.push_back(panel_of(fmt::format("samples, {}, K {}", weights, config.steps), torch::cat(samples), kPictures));
  if (generator_)
    panels.push_back(panel_of(generator_->has_average() ? "generator, average weights" : "generator, raw weights",
                              torch::cat(starts), kPictures));
  if (!bank_.empty()) panels.push_back(panel_of("bank, lane 0", bank_[0].images, kPictures));
  panels.push_back(panel_of("data", data_.first_images(kPictures), kPictures));
  return panels;
}

}  // namespace

std::unique_ptr<TrainingJob> make_shortrun(const ShortrunConfig& config, Communicator& world) {
  return std::make_unique<Shortrun>(config, world);
}

}  // namespace langrun
