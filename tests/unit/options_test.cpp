// Options: types, ranges, precedence, nearest names, and that help and run.cfg come from the same table.
#include "launch/options.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "launch/autoencoder_options.h"
#include "launch/classify_options.h"
#include "launch/command.h"
#include "launch/convergent_options.h"
#include "launch/hat_options.h"
#include "launch/longrun_options.h"
#include "launch/midrun_options.h"
#include "launch/presets.h"
#include "launch/shortrun_options.h"
#include "launch/verify_training.h"

namespace langrun::launch {
namespace {

struct Fields {
  std::int64_t steps = 3;
  double eta = 0.1;
  std::string name = "a";
  bool resume = false;
};

OptionTable table_of(Fields& fields) {
  OptionTable table("test");
  table.integer("langevin.steps", fields.steps, "steps", "K", {0, 100});
  table.real("langevin.eta", fields.eta, "", "step size", {0});
  table.choice("name", fields.name, {"alpha", "beta", "a"}, "a name");
  table.flag("resume", fields.resume, "go on", Keep::transient);
  table.presets({{"small", "# a small one\nname = beta\n[langevin]\nsteps = 7\n"}});
  return table;
}

std::string error_of(const std::vector<std::string>& words) {
  Fields fields;
  auto table = table_of(fields);
  try {
    table.parse(words);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return std::string(error.what()) + " / " + error.hint();
  }
  return "";
}

TEST(Options, LaterWins) {
  Fields fields;
  auto table = table_of(fields);
  table.parse({"--langevin.eta=1e-3", "--preset", "small", "--name", "alpha", "--resume"});
  EXPECT_EQ(fields.steps, 7);
  EXPECT_EQ(fields.eta, 1e-3);
  EXPECT_EQ(fields.name, "alpha");
  EXPECT_TRUE(fields.resume);
  EXPECT_TRUE(table.given("langevin.steps"));
}

TEST(Options, RefuseWithTheNearestName) {
  EXPECT_NE(error_of({"--langevin.stepz", "3"}).find("did you mean 'langevin.steps'"), std::string::npos);
  EXPECT_NE(error_of({"--name", "bta"}).find("did you mean beta"), std::string::npos);
  EXPECT_NE(error_of({"--preset", "smal"}).find("did you mean 'small'"), std::string::npos);
  EXPECT_NE(error_of({"--langevin.steps", "-3"}).find("expected 0 to 100"), std::string::npos);
  EXPECT_NE(error_of({"--langevin.steps", "3.5"}).find("whole number"), std::string::npos);
  EXPECT_NE(error_of({"--langevin.eta", "nan"}), "");
  EXPECT_NE(error_of({"--langevin.steps"}), "");
  EXPECT_NE(error_of({"stray"}), "");
  EXPECT_NE(error_of({"--he%prefix%%%original_token%"}).find("unknown option"), std::string::npos);
}

TEST(Options, ALineThatIsNoSettingIsShownWhateverItHolds) {
  for (const std::string line : {"steps 3", "%invalid_line%", "[langevin"}) {
    Fields fields;
    auto table = table_of(fields);
    try {
      table.read_config("# a comment\n" + line + "\n", "some.cfg");
      FAIL() << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_NE(std::string(error.what()).find("some.cfg: the line '" + line + "'"), std::string::npos) << error.what();
    }
  }
}

TEST(Options, RunCfgReadsBackToTheSame) {
  Fields fields, again;
  auto table = table_of(fields), other = table_of(again);
  table.parse({"--langevin.eta", "0.30000000000000004", "--langevin.steps", "9", "--resume"});
  other.read_config(table.run_cfg(), "run.cfg");
  EXPECT_EQ(again.eta, 0.30000000000000004);
  EXPECT_EQ(again.steps, 9);
  EXPECT_FALSE(again.resume);
  EXPECT_EQ(other.run_cfg(), table.run_cfg());
}

TEST(Options, EveryPresetIsUnderstoodAndSaysWhatItIs) {
  ASSERT_FALSE(presets_of("shortrun").empty());
  for (const auto& preset : presets_of("shortrun")) {
    ShortrunConfig config;
    OptionTable table("shortrun");
    bind_shortrun(table, config);
    EXPECT_NO_THROW(table.read_config(preset.text, preset.name)) << preset.name;
    EXPECT_TRUE(preset.text.starts_with("# ")) << preset.name;
  }
}

template <typename Config>
void expect_known_changes(const char* command, void (*bind)(OptionTable&, Config&)) {
  Config config;
  OptionTable table(command);
  bind(table, config);
  for (const auto& option : table.options())
    if (option.keep != Keep::transient)
      EXPECT_EQ(option.keep == Keep::changeable, may_change(option.key)) << command << " " << option.key;
}

TEST(Options, WhatAResumeMayChangeIsWhatVerifyAllows) {
  expect_known_changes("shortrun", bind_shortrun);
  expect_known_changes("midrun", bind_midrun);
  expect_known_changes("longrun", bind_longrun);
  expect_known_changes("convergent", bind_convergent);
  expect_known_changes("hat", bind_hat);
  expect_known_changes("autoencoder", bind_autoencoder);
  expect_known_changes("classify", bind_classify);
}

TEST(Options, HelpNamesEveryKey) {
  ShortrunConfig config;
  OptionTable table("shortrun");
  bind_shortrun(table, config);
  const auto help = table.help("x");
  for (const auto& option : table.options())
    EXPECT_NE(help.find("--" + option.key + " "), std::string::npos) << option.key;
}

}  // namespace
}  // namespace langrun::launch
