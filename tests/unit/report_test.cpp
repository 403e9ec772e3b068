#include "launch/report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "data/hdf5.h"
#include "launch/grid.h"
#include "launch/metrics.h"
#include "launch/provenance.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

/// Another value of an environment variable for the length of a scope.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    if (before_)
      setenv(name_, before_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

/// Another Python for the length of a scope.
struct UsePython : Environment {
  explicit UsePython(const fs::path& python) : Environment("LANGRUN_PYTHON", python.string()) {}
};

/// The code and message of what `call` throws.
std::pair<ExitCode, std::string> error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {ExitCode::done, "nothing was thrown"};
}

class ReportTest : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(scratch_); }
  void TearDown() override { fs::remove_all(scratch_); }

  /// Whether the interpreter that the report will use has what it wants.
  static bool can_draw() {
    const char* python = std::getenv("LANGRUN_PYTHON");
    return python != nullptr && std::system((std::string(python) + " -c 'import matplotlib' 2>/dev/null").c_str()) == 0;
  }

  void make_run(int steps) const {
    fs::create_directories(folder_);
    std::ofstream(folder_ / "run.cfg") << "steps = 40\nseed = <7>\n[langevin]\neta = 0.01\n";
    record_start(folder_, 1, {{"langrun", "shortrun", "--data", "a&b.h5"}, {"host-a"}, {"cpu"}, 1});
    MetricsWriter writer(folder_ / "metrics.jsonl");
    StepRecord record;
    for (record.step = 1; record.step <= steps; ++record.step) {
      record.energy_difference = record.step % 3 - 1.0;
      record.learning_rate = record.step < 20 ? 1e-4 : 1e-5;
      record.seconds_sample = {0.5, 0.6, 0.7};
      record.more = {{"some_new_number", 3.0 * static_cast<double>(record.step)}};
      writer.append(record);
    }
    const std::vector<float> images(4 * 8 * 8, 0.5f);
    for (const char* name : {"00000010.png", "00000040.png"})
      write_png(folder_ / "samples" / name, draw_grid({Panel{"bank", images, 4, {1, 8, 8}, false}}));
  }

  /// A longrun with everything that a step can record, which returns to step 60 after its step 90.
  fs::path make_longrun(const std::string& name, int steps) const {
    const auto folder = scratch_ / name;
    fs::create_directories(folder);
    std::ofstream(folder / "run.cfg") << "job = longrun\nsteps = 400\nseed = " << steps << "\n[bank]\nsize = 512\n";
    MetricsWriter kept(folder / "metrics.jsonl"), diverged(folder / "diverged-0.jsonl");
    const auto number = [](std::int64_t n, double scale) { return std::sin(static_cast<double>(n)) * scale; };
    StepRecord record;
    for (record.step = 1; record.step <= steps; ++record.step) {
      const auto n = record.step;
      record.energy_difference = number(n, 3);
      record.gradient_magnitude = 2 + number(n, 1);
      record.learning_rate = n < 200 ? 1e-4 : 1e-5;
      record.bank_mean_age = static_cast<double>(n) / 2;
      record.seconds_sample = {1, 1.5, 2};
      record.more = {{"energy_data", number(n, 1)}, {"energy_chains", number(n, 2)},
                     {"rejuvenated", n % 50 == 0},  {"retired", n % 70 == 0},
                     {"burn_in_mean_age", 4},       {"saturated", 0.25},
                     {"duplicates", 0.125},         {"energy_bank", -1},
                     {"clipped_tensors", 2},        {"energy_fresh", n % 9 ? std::nan("") : 1},
                     {"attempt", n > 60},           {"another_quantity", number(n, 1)}};
      record.arrays = {{"bank_ages", {3, 2, static_cast<double>(n)}}, {"burn_in_ages", {1, 0, std::nan("")}}};
      kept.append(record);
      if (n > 60 && n <= 90) diverged.append(record);
    }
    return folder;
  }

  /// A folder as `sample` leaves it: 5 chains at steps 0, 1, 10, 100, of a hat with their residuals' sizes.
  fs::path make_chains(const std::string& name, float start) const {
    const auto folder = scratch_ / name;
    fs::create_directories(folder);
    std::ofstream(folder / "run.cfg") << "source = " << name << "\n";
    std::vector<float> values;
    for (int i = 0; i < 20; ++i) values.push_back(start + static_cast<float>(i));
    values[19] = std::nanf("");
    auto file = h5::File::create(folder / "chains.h5");
    const std::vector<std::int64_t> steps{0, 1, 10, 100};
    file.write("/steps", {4}, steps.data());
    file.write("/energy", {5, 4}, values.data());
    file.write("/gradient_magnitude", {5, 4}, values.data());
    if (name == "hat") file.write("/residual", {5, 4}, values.data());
    file.close();
    std::ofstream(folder / "score-step-000000010.json")
        << R"({"distance": 12.5, "count": 5, "a": {"store": "x/step-000000010.h5"}, "b": {"store": "truth.h5"}})";
    return folder;
  }

  static std::string text_of(const fs::path& path) {
    std::ifstream in(path);
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
  }
  static void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
    for (const auto& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part;
  }

  std::string page() const { return text_of(folder_ / "report.html"); }

  // Tests run at the same time as each other: each has a folder of its own.
  const fs::path scratch_ =
      fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
  const fs::path folder_ = scratch_ / "report <run>";
};

TEST_F(ReportTest, ShowsCurvesPicturesSettingsAndProvenance) {
  if (!can_draw()) GTEST_SKIP() << "LANGRUN_PYTHON names no Python with matplotlib";
  make_run(40);
  EXPECT_EQ(render_report({folder_}, {}), folder_ / "report.html");
  const auto text = page();
  for (const char* part : {"report &lt;run&gt;", "width=device-width", "Energy difference", "Some new number",
                           "step 10", "step 40", "data:image/png;base64,", "&lt;7&gt;", "a&amp;b.h5", "host-a",
                           "falls to 1e-5 at step 20", "Where the time goes", "0:00:24"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
  // Self-contained: nothing is fetched from anywhere.
  for (const char* part : {"src=\"http", "href=\"http", "url(http", "@import", "<link"})
    EXPECT_EQ(text.find(part), std::string::npos) << part;
  EXPECT_FALSE(fs::exists(folder_ / "report.html.partial"));
}

TEST_F(ReportTest, ARunThatHasJustBegunOrHasDamagedLinesIsDrawnToo) {
  if (!can_draw()) GTEST_SKIP() << "LANGRUN_PYTHON names no Python with matplotlib";
  make_run(1);
  std::ofstream(folder_ / "metrics.jsonl", std::ios::app)
      << "{\"step\": 2, \"energy_difference\": null, \"learning_rate\": 1.0}\n{\"step\": 3, \"ene";
  render_report({folder_}, {});
  EXPECT_NE(page().find("1 line of metrics.jsonl could not be read"), std::string::npos);
  fs::remove(folder_ / "metrics.jsonl");
  render_report({folder_}, {});
  EXPECT_NE(page().find("No step has been recorded yet"), std::string::npos);
}

TEST_F(ReportTest, ShowsAllThatALongrunRecords) {
  if (!can_draw()) GTEST_SKIP() << "LANGRUN_PYTHON names no Python with matplotlib";
  const auto run = make_longrun("long", 400);
  const auto text = text_of(render_report({run}, {}));
  expect_parts(text, {"longrun", "Energy difference", "Gradient magnitude", "Energies of data and chains",
                      "Rejuvenated", "Retired", "Mean age of the bank", "Mean age of the burn-in bank", "Saturated",
                      "Duplicates", "Energies of bank and fresh chains", "Clipped tensors", "Another quantity",
                      "Ages in the bank", "Ages in the burn-in bank", "2–3", "Attempt"});
  expect_parts(text, {"the learning rate falls to 1e-5 at step 200", "attempt 1 from step 61",
                      "Red curves: attempts that diverged", "the 8 steps in which chains were rejuvenated",
                      "the 5 steps in which chains were retired"});
  expect_parts(text, {"Autocorrelation of the energy difference", "Cross-correlation", "steps 201–400", "steps 101–200",
                      "Shares of a step", "Throughput", "Seconds: sample"});
}

TEST_F(ReportTest, SeveralRunsAndChainsStandSideBySide) {
  if (!can_draw()) GTEST_SKIP() << "LANGRUN_PYTHON names no Python with matplotlib";
  make_run(40);
  const auto out = scratch_ / "page.html";
  const std::vector<fs::path> runs{folder_, make_longrun("long", 300), make_chains("data", -5),
                                   make_chains("noise", 9)};
  EXPECT_EQ(render_report(runs, out), out);
  const auto text = text_of(out);
  expect_parts(text, {"4 runs side by side", "report &lt;run&gt;", "long", "What differs", "Some new number",
                      "Energies of bank and fresh chains", "steps 151–300"});
  expect_parts(text,
               {"Energy along the chains", "data: 5 chains", "noise: 5 chains", "5 % of the values are not finite",
                "Frechet distance along the chains", "score-step-000000010.json", "12.5", "truth.h5"});
  EXPECT_FALSE(fs::exists(folder_ / "report.html"));
  const auto [code, message] = error_of([&] { render_report(runs, out); });
  EXPECT_EQ(code, ExitCode::usage);
  EXPECT_NE(message.find("exists already"), std::string::npos) << message;
  EXPECT_EQ(text_of(out), text);
  EXPECT_EQ(error_of([&] { render_report(runs, {}); }).first, ExitCode::usage);
}

TEST_F(ReportTest, ResidualsOfAHatAreDrawnOverSteps) {
  if (!can_draw()) GTEST_SKIP() << "LANGRUN_PYTHON names no Python with matplotlib";
  const char* title = "Size of the residual along the chains";
  const auto plain = text_of(render_report({make_chains("data", 0)}, {}));
  EXPECT_EQ(plain.find(title), std::string::npos);
  const auto hat = text_of(render_report({make_chains("hat", 0)}, {}));
  expect_parts(hat, {title, "Energy along the chains"});
}

TEST_F(ReportTest, WhatIsDamagedIsSaidOnThePage) {
  if (!can_draw()) GTEST_SKIP() << "LANGRUN_PYTHON names no Python with matplotlib";
  const auto run = make_longrun("long", 3);
  std::ofstream(run / "metrics.jsonl", std::ios::app) << "{}\n\n{\"step\": 4, \"bank_ages\": [null, \"x\", [1]]}\n";
  fs::create_directories(run / "samples");
  std::ofstream(run / "samples" / "00000002.png") << "no picture";
  for (const char* file : {"chains.h5", "provenance.json", "score-1.json"})
    std::ofstream(run / file) << "{\"a\": nothing";
  const auto text = text_of(render_report({run}, {}));
  expect_parts(text, {"2 lines of metrics.jsonl could not be read", "1 picture in samples/ could not be read",
                      "chains.h5 could not be read"});
}

TEST_F(ReportTest, APageThatCannotBeWrittenIsAStorageError) {
  if (!can_draw()) GTEST_SKIP() << "LANGRUN_PYTHON names no Python with matplotlib";
  make_run(2);
  const auto [code, message] = error_of([&] { render_report({folder_}, scratch_ / "none" / "page.html"); });
  EXPECT_EQ(code, ExitCode::storage);
  EXPECT_NE(message.find("page.html"), std::string::npos) << message;
}

TEST_F(ReportTest, PackageKeepsItsPromises) {
  if (!can_draw()) GTEST_SKIP() << "LANGRUN_PYTHON names no Python with matplotlib";
  const char* source = std::getenv("LANGRUN_SOURCE");
  if (source == nullptr) GTEST_SKIP() << "LANGRUN_SOURCE is not set";
  fs::create_directories(scratch_);
  const auto log = scratch_ / "checks.log";
  const auto command = fmt::format("{0} -B '{1}/tests/unit/report_checks.py' '{1}/launch' > '{2}' 2>&1",
                                   std::getenv("LANGRUN_PYTHON"), source, log.string());
  EXPECT_EQ(std::system(command.c_str()), 0) << text_of(log);
  EXPECT_NE(text_of(log).find("OK"), std::string::npos) << text_of(log);
}

TEST_F(ReportTest, AFolderThatIsNoRunIsRefused) {
  for (const bool exists : {false, true}) {
    if (exists) fs::create_directories(folder_);
    try {
      render_report({folder_}, {});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::input);
      EXPECT_NE(std::string(error.what()).find("no run folder"), std::string::npos);
    }
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(ReportTest, WithoutAPythonAJobGetsAWarningAndACommandAnError) {
  make_run(2);
  const UsePython none("/no/such/python");
  try {
    render_report({folder_}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    EXPECT_NE(error.hint().find("matplotlib"), std::string::npos);
  }
  const auto warning_where = [&](const std::string& wish) {
    const Environment report("LANGRUN_REPORT", wish);
    testing::internal::CaptureStderr();
    EXPECT_FALSE(write_report(folder_).has_value());
    return testing::internal::GetCapturedStderr();
  };
  const auto warning = warning_where("on");
  EXPECT_TRUE(warning.starts_with("langrun: warning: no report: cannot run Python")) << warning;
  EXPECT_EQ(std::count(warning.begin(), warning.end(), '\n'), 1);
  EXPECT_EQ(warning_where("off"), "");
  const auto misspelt = warning_where("of");
  EXPECT_TRUE(misspelt.starts_with("langrun: warning: LANGRUN_REPORT is 'of'")) << misspelt;
}

TEST_F(ReportTest, AMissingPackageIsNamed) {
  // An interpreter that finds no packages at all: python3 cut off from its site folders.
  make_run(2);
  const auto bare = folder_ / "bare-python";
  std::ofstream(bare) << "#!/bin/sh\nexec python3 -S -E \"$@\"\n";
  fs::permissions(bare, fs::perms::owner_all);
  const UsePython without_packages(bare);
  try {
    render_report({folder_}, {});
    ADD_FAILURE() << "drawn without matplotlib";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
    EXPECT_NE(std::string(error.what()).find("Python package matplotlib"), std::string::npos) << error.what();
    EXPECT_NE(error.hint().find("pip install matplotlib"), std::string::npos) << error.hint();
  }
}

}  // namespace
}  // namespace langrun::launch
