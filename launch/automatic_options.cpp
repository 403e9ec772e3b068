#include "launch/automatic_options.h"

namespace langrun::launch {

void agree_with_automatic(OptionTable& asked, std::span<const AutomaticOption> more, const std::string& run_cfg,
                          const std::string& where) {
  for (const auto options : {std::span<const AutomaticOption>(kRunSays), more})
    for (const auto& [key, automatic] : options) {
      const auto& option = asked.option(key);
      if (!asked.given(key) || option.get() != automatic) continue;
      if (const auto recorded = configured(run_cfg, key, where)) option.set(*recorded);
    }
}

}  // namespace langrun::launch
