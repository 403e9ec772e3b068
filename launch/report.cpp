#include "launch/report.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"
#include "launch/embedded.h"
#include "launch/python.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPackage = "launch/report/";
constexpr const char* kLoader = "launch/report/loader.py";  // what Python runs; it takes the others from its input

/// The package as one JSON object, module name to source.
std::string package() {
  nlohmann::json sources;
  for (const auto& file : embedded_files())
    if (file.name.starts_with(kPackage) && file.name.ends_with(".py") && file.name != kLoader)
      sources[fs::path(file.name).stem().string()] = file.text;
  return sources.dump();
}

void require_run(const fs::path& folder) {
  const char* const hint = "give the folder named by --run";
  if (!fs::is_directory(folder))
    throw Error(ExitCode::input, fmt::format("{} is no run folder: there is no such folder", folder.string()), hint);
  for (const char* file : {"run.cfg", "metrics.jsonl", "chains.h5", "sweep.json"})
    if (fs::exists(folder / file)) return;
  throw Error(ExitCode::input,
              fmt::format("{} is no run folder: it holds no run.cfg, metrics.jsonl, chains.h5 or sweep.json", folder.string()),
              hint);
}

}  // namespace

fs::path render_report(const std::vector<fs::path>& runs, const fs::path& out) {
  if (runs.empty() || (out.empty() && runs.size() > 1))
    throw Error(ExitCode::usage, fmt::format("{} runs given, and no file for their page", runs.size()),
                runs.empty() ? "name the folders of runs" : "name it with --out FILE");
  for (const auto& run : runs) require_run(run);
  if (!out.empty() && (fs::exists(out) || fs::is_symlink(out)))
    throw Error(ExitCode::usage, fmt::format("{} exists already", out.string()),
                "choose another --out, or move the file away");
  std::vector<std::string> arguments;
  if (!out.empty()) arguments = {"--out", fs::absolute(out).string()};
  arguments.push_back("--");
  for (const auto& run : runs) arguments.push_back(fs::absolute(run).string());
  run_python_script(kLoader, arguments, package());
  return out.empty() ? runs.front() / "report.html" : out;
}

std::optional<fs::path> write_report(const fs::path& run_dir) {
  if (const char* wish = std::getenv("LANGRUN_REPORT"); wish != nullptr && std::string_view(wish) != "on") {
    if (std::string_view(wish) == "off") return std::nullopt;
    fmt::print(stderr, "langrun: warning: LANGRUN_REPORT is '{}': on or off is expected\n", wish);
  }
  try {
    return render_report({run_dir}, {});
  } catch (const Error& error) {
    fmt::print(stderr, "langrun: warning: no report: {}{}\n", error.what(),
               error.hint().empty() ? "" : fmt::format(" ({})", error.hint()));
    return std::nullopt;
  }
}

}  // namespace langrun::launch
