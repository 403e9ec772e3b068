// Sweeps: what --sweep asks for, and what its points warn of.
#include <gtest/gtest.h>

#include <algorithm>

#include "defend_support.h"
#include "launch/defend_options.h"
#include "launch/defend_sweep_call.h"
#include "launch/defend_sweep_share.h"
#include "launch/defend_sweep_table.h"
#include "launch/sweep_keys.h"
#include "launch/sweep_warnings.h"
#include "weights_support.h"

namespace langrun::launch {
namespace {

using testing::Asked;
using testing::error_of;

std::vector<SweptKeys> words_of(const std::string& text) {
  DefendOptions options;
  OptionTable table("defend");
  bind_defend(table, options);
  return swept_keys(text, table);
}

TEST(Sweep, CombinesWordsAndKeysThatGoTogether) {
  const auto points = combinations(words_of("langevin.steps=5,9 attack.norm:attack.eps=linf:8,l2:0.5"));
  ASSERT_EQ(points.size(), 4U);
  EXPECT_EQ(points[0], (SweepSettings{{"langevin.steps", "5"}, {"attack.norm", "linf"}, {"attack.eps", "8"}}));
  EXPECT_EQ(points[1], (SweepSettings{{"langevin.steps", "5"}, {"attack.norm", "l2"}, {"attack.eps", "0.5"}}));
  EXPECT_EQ(points[3], (SweepSettings{{"langevin.steps", "9"}, {"attack.norm", "l2"}, {"attack.eps", "0.5"}}));
  EXPECT_EQ(combinations(words_of("classifier=a.pth:resnet20,b.h5"))[0][0].second, "a.pth:resnet20");
}

TEST(Sweep, RefusesWhatIsNoList) {
  for (const char* text :
       {"attack.eps", "attack.eps=", "attack.epps=2,4", "images=0:1,0:2", "engine.order=index,reverse", "run=a,b",
        "attack.norm:attack.eps=linf:8,l2", "attack.norm:attack.epps=linf:8", "=3", ""})
    error_of(ExitCode::usage, [&] { words_of(text); });
  const auto twice = error_of(ExitCode::usage, [&] { words_of("attack.eps=2,4 attack.norm:attack.eps=linf:8"); });
  EXPECT_NE(twice.find("attack.eps twice"), std::string::npos) << twice;
}

TEST(SweepCall, GoesOnWithTheOptionsItBegan) {
  const std::string sweep = "attack.norm:attack.eps=linf:8,l2:0.5 langevin.steps=5,9";
  const Asked began(
      {"--preset", "demo", "--attack.steps", "4", "--engine.images", "2", "--run", "r", "--sweep", sweep});
  const auto kept = sweep_configuration(began.table, sweep);
  EXPECT_EQ(sweep_of(kept), sweep);
  const std::vector<std::string> words{"--preset", "demo", "--attack.steps", "4", "--engine.images", "2"};
  EXPECT_EQ(kept_words(kept), words);
  const auto go_on = [&](const std::vector<std::string>& more) {
    return words_to_go_on(kept, Asked(more).table, "r/sweep.cfg");
  };
  EXPECT_EQ(go_on({"--resume"}), words) << "what is left out is as it was";
  EXPECT_EQ(go_on({"--preset", "demo", "--attack.steps", "4", "--run", "r", "--stop-at", "3"}), words);
  EXPECT_EQ(go_on({"--langevin.steps", "1500"}), words) << "the preset says so";
  auto faster = words;
  faster.insert(faster.end(), {"--engine.images", "8"});
  EXPECT_EQ(go_on({"--engine.images", "8"}), faster) << "changes no bit";
  const auto refused = [&](const std::vector<std::string>& more, const std::string& word) {
    const auto what = error_of(ExitCode::usage, [&] { go_on(more); });
    EXPECT_NE(what.find(word), std::string::npos) << what;
    EXPECT_NE(what.find("r/sweep.cfg"), std::string::npos) << what;
  };
  refused({"--attack.steps", "5"}, "--attack.steps 5 was given");
  refused({"--seed", "7"}, "--seed 7 was given");
  refused({"--preset", "small"}, "--preset small was given");
}

TEST(SweepShare, FirstPointsOfOneKind) {
  const auto points = combinations(words_of("energy=a,b classifier:classifier.size=c:0,d:40 attack.eps=2,8"));
  ASSERT_EQ(points.size(), 8U);
  const auto first = sources_of(points, 0);
  EXPECT_FALSE(first.energy || first.classifier || first.defense);
  const auto second = sources_of(points, 1);  // another eps
  EXPECT_EQ(second.energy, 0U);
  EXPECT_EQ(second.classifier, 0U);
  EXPECT_EQ(second.defense, 0U);
  const auto third = sources_of(points, 2);  // another classifier
  EXPECT_EQ(third.energy, 0U);
  EXPECT_FALSE(third.classifier || third.defense);
  const auto fifth = sources_of(points, 4);  // another energy
  EXPECT_FALSE(fifth.energy || fifth.defense);
  EXPECT_EQ(fifth.classifier, 0U);
  EXPECT_EQ(sources_of(points, 7).energy, 4U);
  EXPECT_EQ(sources_of(points, 7).classifier, 2U);
  EXPECT_EQ(sources_of(points, 7).defense, 6U);
  EXPECT_EQ(defense_of(points[6]), defense_of(points[7]));
  EXPECT_NE(defense_of(points[5]), defense_of(points[7]));
}

TEST(SweepShare, PinsWhatTheRunStoodBehind) {
  const std::string energy =
      "weights = average\nat = 300\nprecision = fp32\njoint-temperature = 1\n"
      "[langevin]\nsteps = 9\neta = 0.01\ntemperature = 5e-05\nmax-norm = 0\n";
  const std::vector<std::string> parts{"--energy", "runs/e", "--langevin.eta", "0.02"};
  const auto settled = pinned_options({{"attack.eps", "8"}}, Asked(parts).table, energy, energy);
  EXPECT_TRUE(settled.settled);
  const std::vector<std::string> expected{"--weights",
                                          "average",
                                          "--at",
                                          "300",
                                          "--langevin.steps",
                                          "9",
                                          "--langevin.temperature",
                                          "5e-05",
                                          "--langevin.max-norm",
                                          "0",
                                          "--joint-temperature",
                                          "1"};
  EXPECT_EQ(settled.words, expected) << "what was asked for stays";
  // A swept value that the run stands behind is known of a point with the same one alone.
  const SweepSettings automatic{{"langevin.steps", "-1"}, {"attack.eps", "8"}};
  const auto open = pinned_options(automatic, Asked(parts).table, energy, "");
  EXPECT_FALSE(open.settled);
  EXPECT_EQ(std::count(open.words.begin(), open.words.end(), "--langevin.steps"), 0);
  EXPECT_EQ(std::count(open.words.begin(), open.words.end(), "--at"), 1);
  EXPECT_TRUE(pinned_options(automatic, Asked(parts).table, energy, energy).settled);
  const auto first = pinned_options({}, Asked(parts).table, "", "");
  EXPECT_FALSE(first.settled);
  EXPECT_TRUE(first.words.empty());
}

TEST(SweepTable, HasTheRulesOfEveryPoint) {
  using Json = nlohmann::ordered_json;
  const auto rule = [](double value) { return Json{{"value", value}, {"low", value - 0.1}, {"high", value + 0.1}}; };
  const auto of = [&](const char* energy, double natural, const Json& robust, const Json& rules) {
    return Json{{"values", {{"energy", energy}}},
                {"result", {{"natural_accuracy", natural}, {"robust_accuracy", robust}, {"protocols", rules}}}};
  };
  const auto points = Json::array({of("a", 0.5, nullptr, Json::object()),
                                   of("none", 0.75, 0.25, {{"final_step", rule(0.25)}, {"any_step", rule(0.5)}}),
                                   of("b", 1, 0.5, {{"any_step", rule(0.375)}})});
  EXPECT_EQ(sweep_table(points, {"energy"}),
            "energy,natural,robust,final_step,final_step_low,final_step_high,any_step,any_step_low,any_step_high\n"
            "a,0.5,,,,,,,\n"
            "none,0.75,0.25,0.25,0.15,0.35,0.5,0.4,0.6\n"
            "b,1.0,0.5,,,,0.375,0.275,0.475\n");
}

SweepPoint point(std::map<std::string, std::string> values, double share,
                 const std::string& rule = "verified_any_step") {
  return {std::move(values), {{rule, share}, {"null_control", 0}}};
}

std::vector<std::string> warnings(const std::vector<SweepPoint>& points, const std::vector<SweptKeys>& words) {
  return sweep_warnings(points, words);
}

std::vector<SweepPoint> over_eps(const std::vector<std::pair<std::string, double>>& curve, const std::string& rule) {
  std::vector<SweepPoint> points;
  for (const auto& [eps, share] : curve) points.push_back(point({{"attack.eps", eps}}, share, rule));
  return points;
}

TEST(SweepWarnings, AccuracyThatRisesOrStays) {
  const std::vector<SweptKeys> eps{{{"attack.eps"}, {}}};
  for (const char* rule : {"verified_any_step", "final_step", "resubmission"}) {
    SCOPED_TRACE(rule);
    EXPECT_TRUE(warnings(over_eps({{"2", 0.7}, {"4", 0.4}, {"8", 0.1}}, rule), eps).empty());
    EXPECT_TRUE(warnings(over_eps({{"4", 0.03}, {"8", 0.02}, {"16", 0.0}}, rule), eps).empty()) << "nothing is left";
    EXPECT_TRUE(warnings(over_eps({{"0.1", 0.8}, {"0.2", 0.8}, {"8", 0.1}}, rule), eps).empty())
        << "small radii do little";
    EXPECT_TRUE(warnings(over_eps({{"8", 0.5}, {"10", 0.5}}, rule), eps).empty()) << "hardly another radius";
    const auto rises = warnings(over_eps({{"8", 0.45}, {"2", 0.4}}, rule), eps);  // in any order
    ASSERT_EQ(rises.size(), 1U);
    EXPECT_NE(rises[0].find("rises with eps: 0.400 at 2, 0.450 at 8"), std::string::npos) << rises[0];
    const auto flat = warnings(over_eps({{"1", 0.8}, {"2", 0.61}, {"4", 0.605}, {"16", 0.6}}, rule), eps);
    ASSERT_EQ(flat.size(), 1U);
    EXPECT_NE(flat[0].find("does not fall with eps: 0.610 at 2, 0.600 still at 16"), std::string::npos) << flat[0];
  }
}

TEST(SweepWarnings, ComparesWhatIsAlike) {
  // Two norms and their own radii are two curves; steps that grow with eps belong to it.
  const auto words = words_of("attack.norm:attack.eps:attack.alpha=linf:2:1,linf:8:2,l2:0.25:0.1,l2:1:0.2");
  std::vector<SweepPoint> points;
  const std::vector<double> shares{0.6, 0.2, 0.5, 0.55};
  const auto settings = combinations(words);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    std::map<std::string, std::string> values;
    for (const auto& [key, value] : settings.at(i)) values[key] = value;
    points.push_back(point(std::move(values), shares[i]));
  }
  const auto found = warnings(points, words);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].find("(attack.norm l2): 0.500 at 0.25, 0.550 at 1"), std::string::npos) << found[0];
}

TEST(SweepWarnings, SmoothGradientsThatAreWeaker) {
  const std::vector<SweptKeys> words{{{"attack.kind"}, {}}, {{"langevin.steps"}, {}}};
  const auto of = [](const char* kind, const char* steps, double share) {
    return point({{"attack.kind", kind}, {"langevin.steps", steps}}, share);
  };
  EXPECT_TRUE(warnings({of("bpda-eot", "5", 0.3), of("full-smooth", "5", 0.31)}, words).empty());
  EXPECT_TRUE(warnings({of("bpda-eot", "5", 0.3), of("full-smooth", "9", 0.5)}, words).empty()) << "another K";
  const auto found = warnings({of("full-smooth", "5", 0.35), of("bpda-eot", "5", 0.3)}, words);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].find("full-smooth is weaker than bpda-eot (langevin.steps 5): 0.350 against 0.300"),
            std::string::npos)
      << found[0];
}

TEST(SweepWarnings, ByTheRuleThatAllPointsHave) {
  auto points = over_eps({{"2", 0.2}, {"8", 0.6}}, "any_step");
  EXPECT_EQ(headline_rule(points), "any_step");
  points[1].shares = {{"final_step", 0.6}};
  EXPECT_EQ(headline_rule(points), "");
  EXPECT_TRUE(warnings(points, {{{"attack.eps"}, {}}}).empty()) << "nothing to compare";
  EXPECT_TRUE(warnings({}, {}).empty());
}

}  // namespace
}  // namespace langrun::launch
