// Options of defend: defaults, what a kind of attack fixes, presets that give way, and records of another
// configuration.
#include "launch/defend_options.h"

#include <gtest/gtest.h>

#include "defend_support.h"
#include "launch/evaluation_head.h"
#include "score_support.h"
#include "weights_support.h"

namespace langrun::launch {
namespace {

using testing::Asked;
using testing::error_of;
using testing::Scratch;

const std::vector<std::string> kParts{"--data", "d.h5", "--classifier", "c.h5", "--energy", "runs/e"};

std::vector<std::string> words(std::vector<std::string> more, const std::vector<std::string>& parts = kParts) {
  more.insert(more.end(), parts.begin(), parts.end());
  return more;
}

TEST(DefendOptions, ChainsAreInFp32UnlessAnotherIsAskedFor) {
  EXPECT_EQ(Asked(words({})).options.energy.precision, "fp32");
  EXPECT_EQ(Asked({"--preset", "demo"}).options.energy.precision, "fp32");
  EXPECT_EQ(Asked(words({"--precision", "run"})).options.energy.precision, "run") << "as the energy was trained";
}

TEST(DefendOptions, StepsAreAQuarterOfEps) {
  const std::vector<std::pair<std::vector<std::string>, double>> cases{
      {{}, 2},
      {{"--attack.norm", "l2", "--attack.eps", "0.5"}, 0.125},
      {{"--attack.alpha", "0", "--attack.eps", "4"}, 1},
      {{"--attack.alpha", "3"}, 3},
      {{"--preset", "cifar10", "--attack.eps", "4"}, 2}};  // the preset's own
  for (const auto& [more, alpha] : cases) {
    Asked asked(words(more));
    asked.check();
    EXPECT_EQ(asked.attack().alpha, alpha);
  }
  error_of(ExitCode::usage, [&] { Asked(words({"--attack.alpha", "-1"})).check(); });
}

TEST(DefendOptions, ARadiusIsOfItsNorm) {
  const auto refused = [](const std::vector<std::string>& more) {
    const auto what = error_of(ExitCode::usage, [&] { Asked(words(more)).check(); });
    EXPECT_NE(what.find("--attack.norm l2 was given without --attack.eps"), std::string::npos) << what;
  };
  refused({"--attack.norm", "l2"});
  refused({"--attack.norm", "l2", "--attack.alpha", "0.1"});
  refused({"--preset", "cifar10", "--attack.norm", "l2"});
  Asked(words({"--attack.norm", "l2", "--attack.eps", "0.5"})).check();
  Asked(words({"--attack.norm", "l2", "--attack.kind", "none"})).check();
  // Options of a run.cfg, or those that were taken over into a table, are whole.
  Asked whole(words({}));
  whole.table.read_config("[attack]\nnorm = l2\neps = 0.5\n", "run.cfg");
  whole.check();
  Asked taken(words({}));
  taken.table.option("attack.norm").set("l2");
  taken.check();
}

TEST(DefendOptions, TheClipDoesNotGoWithExactGradients) {
  for (const char* kind : {"full", "full-smooth"}) {
    const auto what = error_of(ExitCode::usage, [&] {
      Asked(words({"--attack.kind", kind, "--langevin.max-norm", "1"})).check();
    });
    EXPECT_NE(what.find(std::string("--attack.kind ") + kind), std::string::npos) << what;
    EXPECT_NE(what.find("--langevin.max-norm 0"), std::string::npos) << what;
    Asked(words({"--attack.kind", kind, "--langevin.max-norm", "0"})).check();
  }
  Asked(words({"--langevin.max-norm", "1"})).check();
}

TEST(DefendOptions, PresetsGiveWayToWhatIsAskedFor) {
  Asked one(words({"--preset", "cifar10", "--attack.kind", "bpda"}));
  one.check();
  EXPECT_EQ(one.attack().replicates, 1);
  Asked fgsm(words({"--preset", "cifar10", "--attack.kind", "fgsm", "--energy", "none"},
                   {"--data", "d.h5", "--classifier", "c.h5"}));
  fgsm.check();
  EXPECT_EQ(fgsm.attack().steps, 1);
  EXPECT_EQ(fgsm.attack().start, "none");
  EXPECT_EQ(fgsm.attack().alpha, 8);
  Asked bare({"--preset", "demo", "--energy", "none", "--attack.kind", "pgd"});
  bare.check();
  EXPECT_EQ(bare.options.evaluation.defense.replicates, 1);
  Asked list({"--preset", "demo", "--images-file", "list"});
  list.check();
  EXPECT_EQ(list.options.images, "all");
  // What is asked for by name is not replaced.
  error_of(ExitCode::usage, [&] { Asked(words({"--attack.kind", "bpda", "--attack.replicates", "4"})).check(); });
  error_of(ExitCode::usage, [&] { Asked({"--preset", "demo", "--images", "0:5", "--images-file", "list"}).check(); });
}

TEST(DefendOptions, NullControlCountsWithinAnIdentity) {
  Asked many(words({"--attack.steps", "100000", "--attack.restarts", "3"}));
  EXPECT_NE(error_of(ExitCode::usage, [&] { many.check(); }).find("null_control"), std::string::npos);
  Asked fewer(words({"--attack.steps", "100000", "--attack.restarts", "2"}));
  fewer.check();
  Asked without(words({"--attack.steps", "100000", "--attack.restarts", "3", "--protocols", "any_step"}));
  without.check();
}

TEST(DefendOptions, AskedIsWithoutThePreset) {
  const Asked asked({"--preset", "demo", "--attack.eps", "4"});
  EXPECT_TRUE(asked.table.given("attack.steps"));
  EXPECT_FALSE(asked.table.asked("attack.steps"));
  EXPECT_TRUE(asked.table.asked("attack.eps"));
  EXPECT_EQ(asked.table.preset(), "demo");
}

TEST(EvaluationHead, TellsConfigurationsApart) {
  const std::string text = "seed = 1\n\n[attack]\neps = 8\n\n[engine]\norder = index\ncall = 16\n";
  const auto differs = [&](const std::string& now) {
    return error_of(ExitCode::usage, [&] { check_same_evaluation(text, now, "records.h5"); });
  };
  check_same_evaluation(text, text, "records.h5");
  check_same_evaluation(text, "# by hand\nseed=1\n[engine]\ncall = 16\norder = reverse\n[attack]\neps = 8\n",
                        "records.h5");
  const auto eps = differs("seed = 1\n[attack]\neps = 4\n[engine]\ncall = 16\n");
  EXPECT_NE(eps.find("records.h5"), std::string::npos) << eps;
  EXPECT_NE(eps.find("attack.eps differs: '8' there, '4' now"), std::string::npos) << eps;
  EXPECT_NE(differs("seed = 1\n[engine]\ncall = 16\n").find("attack.eps differs: '8' there, nothing now"),
            std::string::npos);
}

TEST(EvaluationHead, TellsImagesApart) {
  const Scratch scratch;
  testing::make_store(scratch / "a.h5", 12, 8, 0);
  testing::make_store(scratch / "b.h5", 12, 8, 3);
  JudgeFacts judge;
  judge.checksum = "c";
  EvaluationConfig config;
  config.data = scratch / "a.h5";
  config.images = {3, 4, 9};
  const auto head = evaluation_head("seed = 1\n", judge, config);
  EXPECT_EQ(evaluation_head("seed = 1\n", judge, config), head);
  check_same_evaluation("seed = 1\n[classifier]\nchecksum = c\n", head, "journal");  // of an older version
  const auto differs = [&](const EvaluationConfig& other) {
    return error_of(ExitCode::usage,
                    [&] { check_same_evaluation(head, evaluation_head("seed = 1\n", judge, other), "journal"); });
  };
  auto list = config;
  list.images = {3, 4};
  EXPECT_NE(differs(list).find("images.checksum differs (the list of images)"), std::string::npos) << differs(list);
  auto store = config;
  store.data = scratch / "b.h5";
  EXPECT_NE(differs(store).find("data.checksum differs (the images)"), std::string::npos) << differs(store);
  // What points of a sweep have in common, whatever their options are.
  const auto inputs = evaluation_inputs(judge, config);
  JudgeFacts other;
  other.checksum = "d";
  check_same_inputs(inputs, "[attack]\neps = 4\n" + inputs, "a point");
  check_same_inputs("", inputs, "a point of an older version");
  check_same_inputs(inputs.substr(inputs.find("[images]")), evaluation_inputs(other, config), "a point");
  const auto compared = [&](const JudgeFacts& net, const EvaluationConfig& now) {
    return error_of(ExitCode::usage, [&] { check_same_inputs(inputs, evaluation_inputs(net, now), "a point"); });
  };
  EXPECT_NE(compared(other, config).find("another classifier than that of a point"), std::string::npos);
  EXPECT_NE(compared(judge, list).find("images.checksum"), std::string::npos);
  EXPECT_NE(compared(judge, store).find("data.checksum"), std::string::npos);
  judge.checksum = "d";
  EXPECT_NE(differs(config).find("classifier.checksum differs"), std::string::npos);
}

}  // namespace
}  // namespace langrun::launch
