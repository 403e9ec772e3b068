#include "launch/defend_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <numeric>
#include <set>
#include <sstream>

#include "core/error.h"
#include "data/image_store.h"
#include "distributed/agreement.h"
#include "jobs/chain_identity.h"
#include "jobs/verdicts.h"
#include "jobs/weights_source.h"
#include "launch/passed_over.h"
#include "launch/shipped.h"

namespace langrun::launch {
namespace {

constexpr double kMostEps = 1e6;

void bind_attack(OptionTable& table, AttackConfig& a) {
  table.choice(
      "attack.kind", a.kind, attack_kinds(),
      "none; pgd, fgsm (bare classifier, --energy none); transfer (the bare classifier's gradients, judged through "
      "the defense); bpda, bpda-eot; apgd-ce, apgd-dlr (with an energy on BPDA+EOT gradients); full (exact, "
      "through all steps); full-smooth (softplus in its backward pass)");
  table.choice("attack.norm", a.norm, {"linf", "l2"}, "norm of the ball about an image");
  table.real("attack.eps", a.eps, "/255 (linf) or [0, 1] units (l2)", "radius of the ball", {-kMostEps, kMostEps});
  table.real("attack.alpha", a.alpha, "as eps", "step size; 0: a quarter of eps; Auto-PGD has its own",
             {-kMostEps, kMostEps});
  table.integer("attack.steps", a.steps, "steps", "N", {1, 100'000});
  table.choice("attack.start", a.start, {"random", "none"},
               "where the attack begins: a random point of the ball, or the image");
  table.integer("attack.restarts", a.restarts, "restarts", "R; an image has to survive all of them",
                {1, static_cast<std::int64_t>(kMostRestarts) - 1});
  table.integer("attack.replicates", a.replicates, "chains", "H_adv, of the attack's own label and gradient",
                {1, static_cast<std::int64_t>(kMostReplicates) - 1});
  table.choice(
      "attack.average", a.average, {"same", "logits", "softmax", "logsoftmax", "loss"},
      "what the attack's loss is of: the average as the defense's, another, or the mean of the replicates' losses");
  table.real("attack.sharpness", a.sharpness, "", "of full-smooth: s of the softplus log(1 + exp(s v)) / s",
             {1e-3, 1e6});
}

void bind_defense(OptionTable& table, DefendOptions& o) {
  auto& d = o.evaluation.defense;
  table.integer("defense.replicates", d.replicates, "chains", "H_def, of the natural check and of verification",
                {1, static_cast<std::int64_t>(kMostReplicates) - 1});
  table.choice("defense.average", d.average, {"logits", "softmax", "logsoftmax"},
               "what is averaged over replicates before the label is taken");
  table.integer("defense.resubmissions", d.resubmissions, "checks", "M, of the rule resubmission", {1, 100'000});
  table.text(
      "protocols", o.protocols,
      "rules that are scored, and so how long an image stays: verified_any_step, any_step, final_step, majority_vote, "
      "resubmission, null_control; auto: verified_any_step,any_step,null_control, without an energy "
      "final_step,any_step");
}

void bind_classifier(OptionTable& table, JudgeNetConfig& c) {
  table.text("classifier", c.file, "FILE[:network] of weights, a run of classify, or a TorchScript file");
  table.integer("classifier.size", c.size, "pixels", "TorchScript: side that images are resized to; 0: as they are",
                {0, 1 << 16});
  table.choice(
      "classifier.range", c.range, {"none", "-1:1", "0:1", "0:255", "imagenet", "normalised"},
      "TorchScript: values it takes; imagenet: by that set's mean and deviation; normalised: by .mean and .std");
  table.text("classifier.mean", c.mean, "of range normalised: r,g,b on [0, 1]");
  table.text("classifier.std", c.deviation, "of range normalised: r,g,b on [0, 1]");
  table.choice("classifier.precision", c.precision, {"fp32", "bf16"}, "of the classifier; bf16: by autocast");
}

void bind_packing(OptionTable& table, PackingConfig& p) {
  table.integer("engine.call", p.call, "chains", "chains a call of the energy; part of the bits", {1, 65536});
  table.integer("engine.classifier-call", p.classifier_call, "images",
                "images a call of the classifier; part of the bits", {1, 65536});
  table.integer("engine.calls", p.calls, "calls", "calls under way on a rank", {1, 65536}, Keep::changeable);
  table.integer("engine.images", p.images, "images", "in flight on all ranks; 0: as many as keep every call full",
                {0, 1 << 24}, Keep::changeable);
  table.choice("engine.order", p.order, {"index", "reverse", "shuffled"}, "in which images enter", Keep::changeable);
}

std::vector<std::uint64_t> listed(const std::string& path) {
  std::ifstream in(path);
  if (!in)
    throw Error(ExitCode::input, fmt::format("--images-file {} cannot be read", path), "a text file, one index a line");
  std::vector<std::uint64_t> images;
  for (std::string word; in >> word;) {
    std::uint64_t index = 0;
    const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), index);
    if (failure != std::errc{} || end != word.data() + word.size())
      throw Error(ExitCode::input, fmt::format("--images-file {}: '{}' is no index", path, word),
                  "a text file, one index a line, counted from 0");
    images.push_back(index);
  }
  return images;
}

std::vector<std::uint64_t> ranged(const std::string& text, std::uint64_t count) {
  const auto wrong = [&] {
    throw Error(ExitCode::usage, fmt::format("--images is '{}', expected A:B with A < B <= {}", text, count),
                "half-open: 0:100 are the first hundred");
  };
  std::uint64_t first = 0, end = count;
  if (text != "all") {
    const auto colon = text.find(':');
    if (colon == std::string::npos) wrong();
    const auto number = [&](const std::string& part, std::uint64_t& value) {
      const auto [last, failure] = std::from_chars(part.data(), part.data() + part.size(), value);
      if (failure != std::errc{} || last != part.data() + part.size()) wrong();
    };
    number(text.substr(0, colon), first);
    number(text.substr(colon + 1), end);
  }
  if (first >= end || end > count) wrong();
  std::vector<std::uint64_t> images(end - first);
  std::iota(images.begin(), images.end(), first);
  return images;
}

// Rank 0 looks, so that one message speaks of a missing file.
std::vector<std::uint64_t> chosen_images(Communicator& world, DefendOptions& o) {
  const auto text = on_root(world, "choose images", [&] {
    const auto store = ImageStore::open(o.evaluation.data);
    const auto images = o.images_file.empty() ? ranged(o.images, store.count()) : listed(o.images_file);
    std::set<std::uint64_t> once;
    for (const auto image : images) {
      if (image >= store.count() || image >= kMostImages)
        throw Error(ExitCode::input,
                    fmt::format("image {} is asked for, {} has {}", image, o.evaluation.data.string(), store.count()),
                    "indices count from 0");
      if (!once.insert(image).second)
        throw Error(ExitCode::input, fmt::format("image {} is listed twice", image), "list each image once");
    }
    if (images.empty()) throw Error(ExitCode::input, fmt::format("{} lists no image", o.images_file));
    if (o.images_file.empty()) o.images = fmt::format("{}:{}", images.front(), images.back() + 1);
    std::string all;
    for (const auto image : images) all += fmt::format("{} ", image);
    return all;
  });
  std::vector<std::uint64_t> images;
  std::istringstream in(text);
  for (std::uint64_t image = 0; in >> image;) images.push_back(image);
  if (o.images_file.empty()) o.images = fmt::format("{}:{}", images.front(), images.back() + 1);
  return images;
}

/// A value that the kind of attack fixes: another one that was asked for is refused, a preset's gives way.
template <typename T>
void fix(const OptionTable& table, const std::string& key, T& field, const T& value, const std::string& why) {
  if (table.asked(key) && field != value)
    throw Error(ExitCode::usage, fmt::format("--{} {} was given, {} has {}", key, field, why, value),
                fmt::format("leave --{} out", key));
  field = value;
}

void fix_by_kind(DefendOptions& o, const OptionTable& table) {
  auto& a = o.evaluation.attack;
  if (a.kind == "fgsm") {
    fix<std::int64_t>(table, "attack.steps", a.steps, 1, "fgsm");
    fix<std::string>(table, "attack.start", a.start, "none", "fgsm");
    if (a.alpha == 0) a.alpha = a.eps;
    fix<double>(table, "attack.alpha", a.alpha, a.eps, "fgsm (one step of eps)");
  }
  if (o.energy.run == "none") {
    // One answer is all that a classifier without chains has.
    fix<std::int64_t>(table, "attack.replicates", a.replicates, 1, "a classifier without chains");
    fix<std::int64_t>(table, "defense.replicates", o.evaluation.defense.replicates, 1, "a classifier without chains");
  }
  if (a.kind == "bpda") fix<std::int64_t>(table, "attack.replicates", a.replicates, 1, "bpda (bpda-eot has more)");
}

void check_kind(const DefendOptions& o) {
  const auto& kind = o.evaluation.attack.kind;
  const bool defended = o.energy.run != "none";
  if (defended && (kind == "pgd" || kind == "fgsm"))
    throw Error(ExitCode::usage,
                fmt::format("--attack.kind {} is of the bare classifier: it goes with --energy none", kind),
                "transfer judges its images through the defense; bpda-eot attacks the defense");
  const bool bare = kind == "none" || kind == "pgd" || kind == "fgsm" || kind == "apgd-ce" || kind == "apgd-dlr";
  if (!defended && !bare)
    throw Error(ExitCode::usage,
                fmt::format("--attack.kind {} attacks a defense, and there is none (--energy none)", kind),
                "pgd, fgsm, apgd-ce and apgd-dlr attack the bare classifier");
}

void check_numbers(const DefendOptions& o) {
  const auto& a = o.evaluation.attack;
  if (a.kind != "none" && a.eps <= 0)
    throw Error(ExitCode::usage, fmt::format("--attack.eps is {}, expected more than 0", a.eps),
                a.norm == "linf" ? "in /255: 8 is the papers'" : "in [0, 1] image units: 0.5 is usual");
  if (a.kind != "none" && a.alpha <= 0)
    throw Error(ExitCode::usage, fmt::format("--attack.alpha is {}, expected more than 0", a.alpha),
                "leave it out: a quarter of eps is usual");
}

/// Also of the clip that the energy's own run had, once it is known.
void check_clip(const DefendOptions& o) {
  const auto& kind = o.evaluation.attack.kind;
  if (!attacks_pathwise(o.evaluation.attack) || o.energy.max_norm <= 0) return;
  throw Error(
      ExitCode::usage,
      fmt::format("--attack.kind {} does not go with --langevin.max-norm {}: the chain's Jacobian leaves the clip out",
                  kind, o.energy.max_norm),
      "--langevin.max-norm 0, or --attack.kind bpda-eot");
}

/// A radius of one norm is none of the other: the default, or a preset's, is not taken along.
void check_radius(const DefendOptions& o, const OptionTable& table) {
  const auto& a = o.evaluation.attack;
  // What a preset says of both goes together.
  const bool alone = table.asked("attack.norm") ? !table.asked("attack.eps")
                                                : table.given("attack.norm") && !table.given("attack.eps");
  if (a.kind == "none" || a.norm != "l2" || !alone) return;
  throw Error(ExitCode::usage, "--attack.norm l2 was given without --attack.eps",
              "its radius is in [0, 1] image units: --attack.eps 0.5 is usual");
}

// Checks of the null control are numbered within a chain's identity.
void check_counts(const DefendOptions& o) {
  const auto& a = o.evaluation.attack;
  const auto checks = (a.steps + 1) * a.restarts;
  if (o.evaluation.rules.null_control && checks > static_cast<std::int64_t>(kMostCounted))
    throw Error(
        ExitCode::usage,
        fmt::format("--attack.steps {} in --attack.restarts {}: null_control can repeat {} checks of an image, there "
                    "may be {}",
                    a.steps, a.restarts, kMostCounted, checks),
        "fewer steps or restarts, or --protocols without null_control");
}

/// Data, images and energy; the classifier as it is named.
EvaluationConfig resolve_parts(Communicator& world, DefendOptions& o, const std::filesystem::path& kept_energy) {
  auto& e = o.evaluation;
  // run.cfg keeps names as they were given: shipped files may lie elsewhere when the evaluation goes on.
  e.data = shipped(o.energy.data);
  e.defended = o.energy.run != "none";
  e.packing.leaving = o.leaving == "on";
  e.images = chosen_images(world, o);
  if (!e.defended) {
    e.langevin.steps = 0;
    return e;
  }
  auto request = o.energy;
  request.run = shipped(o.energy.run);
  request.data.clear();
  request.source = "noise";  // chains begin at the images
  const auto samples = kept_energy.empty() ? resolve_samples(world, request) : resumed_samples(request, kept_energy);
  if (request.steps < 0)
    throw Error(ExitCode::usage,
                fmt::format("--langevin.steps is missing: {} is a file, and does not say it", o.energy.run),
                "say how many steps");
  request.run = o.energy.run;
  request.data = o.energy.data;
  request.source = o.energy.source;
  o.energy = request;
  check_clip(o);
  e.energy = samples.energy;
  e.langevin = samples.langevin;
  return e;
}

// A run of classify stands for the weights of its newest good checkpoint.
std::string resolved_classifier(Communicator& world, const std::string& name) {
  const auto file = shipped(name);
  const bool folder = on_root(world, "look at the classifier", [&]() -> std::string {
                        return std::filesystem::is_directory(file) ? "folder" : "";
                      }) == "folder";
  return folder ? find_weights(world, file, "classifier", false, warn_of_passed_over) : file;
}

}  // namespace

void bind_defend(OptionTable& table, DefendOptions& o) {
  auto& e = o.evaluation;
  // What a run was trained in says nothing of what its defense is to be measured in.
  o.energy.precision = "fp32";
  e.attack.alpha = 0;
  table.choice("job", o.job, {"defend"}, "the command that a configuration file is of");
  table.text("run", o.run, "folder of the evaluation; made if it is missing", Keep::transient);
  table.flag("resume", o.resume, "go on with what is in --run; an empty or missing folder starts anew",
             Keep::transient);
  table.integer("stop-at", o.stop_at, "images", "exit 75 once so many images are finished; 0: never", {0},
                Keep::transient);
  table.real("deadline", o.deadline, "seconds since 1970",
             "when the job is ended from outside: exit 75 early enough before it; 0: none", {0}, Keep::transient);
  table.real("stop-after", o.stop_after, "seconds", "exit 75 once this much time has passed; 0: never", {0},
             Keep::transient);
  table.text("rescore", o.rescore, "score the records of this folder again by --protocols, without a new chain",
             Keep::transient);
  table.text("json", o.json, "of --rescore: file for the figures; must not exist", Keep::transient);
  table.text("sweep", o.sweep, "key=a,b,c (several between blanks): one evaluation for each combination",
             Keep::transient);
  table.text("data", o.energy.data, "image store with labels (HDF5, made by `langrun data import`)");
  table.text("images", o.images, "A:B, half-open, or all");
  table.text("images-file", o.images_file, "indices of images instead, one a line");
  bind_classifier(table, e.classifier);
  bind_sampled_energy(table, o.energy);
  table.real("langevin.max-norm", o.energy.max_norm, "pixel range [-1, 1]",
             "clip of each sample's (eta^2/2) ||grad E||; 0: none; -1: the run's", {-1});
  table.integer("langevin.steps", o.energy.steps, "steps", "K; -1: the run's evaluation.steps, or its langevin.steps",
                {-1, 100'000'000});
  bind_attack(table, e.attack);
  bind_defense(table, o);
  bind_packing(table, e.packing);
  table.choice("engine.leaving", o.leaving, {"on", "off"},
               "images leave once no rule needs them; off: every attack goes to its end");
  table.integer("gallery", e.gallery, "images", "first images whose pictures are kept", {0, 1 << 24});
  table.integer("seed", e.seed, "", "seed of starts and chains", {0});
  table.integer("threads", e.threads, "threads", "compute threads per rank", {1, 1024});
  table.choice("device", e.device, {"auto", "cpu", "cuda"}, "where to compute");
  table.real("watchdog.limit", o.watchdog_limit, "seconds", "longest wait in one collective; 0: for ever", {0},
             Keep::changeable);
}

void settle_defend(DefendOptions& o, const OptionTable& table) {
  fix_by_kind(o, table);
  if (!o.images_file.empty() && !table.asked("images")) o.images = "all";
}

void check_defend(DefendOptions& o, const OptionTable& table) {
  const auto required = [](const std::string& value, const char* key, const char* hint) {
    if (value.empty()) throw Error(ExitCode::usage, fmt::format("--{} is missing", key), hint);
  };
  required(o.energy.data, "data", "an image store with labels: `langrun data import` makes one");
  required(o.evaluation.classifier.file, "classifier", "FILE[:network] of weights, a run of classify, or TorchScript");
  required(o.energy.run, "energy", "the folder of a run, a file of weights, or none");
  settle_defend(o, table);
  auto& a = o.evaluation.attack;
  if (a.alpha == 0) a.alpha = a.eps / 4;
  check_kind(o);
  check_radius(o, table);
  check_numbers(o);
  check_clip(o);
  const bool defended = o.energy.run != "none";
  if (o.protocols == "auto") o.protocols = defended ? "verified_any_step,any_step,null_control" : "final_step,any_step";
  o.evaluation.rules = rules_from(o.protocols);
  o.protocols = list_of(o.evaluation.rules);
  check_counts(o);
  if (!o.images_file.empty() && o.images != "all")
    throw Error(ExitCode::usage, "both --images and --images-file are given", "give one of them");
}

EvaluationConfig resolve_defend(Communicator& world, DefendOptions& o, const OptionTable& table,
                                const std::filesystem::path& kept_energy) {
  check_defend(o, table);
  auto e = resolve_parts(world, o, kept_energy);
  e.classifier.file = resolved_classifier(world, e.classifier.file);
  return e;
}

}  // namespace langrun::launch
