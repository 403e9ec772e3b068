// Configuration files and command lines. What is taken can be written as run.cfg, and reads back to the same.
#include "launch/options.h"

#include "tests/fuzz/fuzz.h"

namespace {

using namespace langrun;
using namespace langrun::launch;

/// One option of each kind, with the keys of the seeds.
struct Settings {
  std::int64_t steps = 100, lanes = 8;
  double eta = 0.01;
  bool verbose = false;
  std::string run, network = "light", word;
  std::vector<std::string> rest;

  OptionTable table() {
    OptionTable t("command");
    t.integer("steps", steps, "steps", "how many", {0}, Keep::changeable);
    t.integer("lanes", lanes, "lanes", "into how many", {1, 4096});
    t.real("langevin.eta", eta, "", "step size", {1e-12, 10});
    t.flag("langevin.verbose", verbose, "say more");
    t.text("data.file", run, "a file");
    t.choice("energy.network", network, {"light", "sngan32", "attention"}, "which");
    t.positional("WORD", word, "a word", true);
    t.positional_rest("MORE", rest, "more words");
    t.presets({{"small", "# a small one\nsteps = 5\n[langevin]\neta = 0.5\n"}});
    return t;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Octets input(data, size);
  const auto choice = fuzz::take_choice(input);
  const std::string text(fuzz::text_of(input));
  // A file that an option names would be another input.
  if ((choice & 1) != 0 && text.find("--c") != std::string::npos) return 0;
  Settings settings;
  auto table = settings.table();
  const bool good = fuzz::taken({ExitCode::usage}, [&] {
    if ((choice & 1) == 0) return table.read_config(text, "input");
    std::vector<std::string> words;
    for (std::size_t at = 0; at <= text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      words.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    table.parse(words);
  });
  fuzz::taken({ExitCode::usage}, [&] { configured(text, "langevin.eta", "input"); });
  std::string written;
  if (!good || !fuzz::taken({ExitCode::usage}, [&] { written = table.run_cfg(); })) return 0;
  Settings again;
  auto other = again.table();
  other.read_config(written, "run.cfg");
  fuzz::require(other.run_cfg() == written, "run.cfg reads back to the same");
  return 0;
}
