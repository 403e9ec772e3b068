#include "launch/report.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "launch/grid.h"
#include "launch/metrics.h"
#include "launch/provenance.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

/// Another LANGRUN_PYTHON for the length of a scope.
class UsePython {
 public:
  explicit UsePython(const fs::path& python) {
    if (const char* before = std::getenv("LANGRUN_PYTHON")) before_ = before;
    setenv("LANGRUN_PYTHON", python.c_str(), 1);
  }
  ~UsePython() {
    if (before_)
      setenv("LANGRUN_PYTHON", before_->c_str(), 1);
    else
      unsetenv("LANGRUN_PYTHON");
  }

 private:
  std::optional<std::string> before_;
};

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
    record_start(folder_, {{"langrun", "shortrun", "--data", "a&b.h5"}, {"host-a"}, {"cpu"}, 1});
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
  std::string page() const {
    std::ifstream in(folder_ / "report.html");
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
  }

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
  testing::internal::CaptureStderr();
  EXPECT_FALSE(write_report(folder_).has_value());
  const auto warning = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(warning.starts_with("langrun: warning: no report: cannot run Python")) << warning;
  EXPECT_EQ(std::count(warning.begin(), warning.end(), '\n'), 1);
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
