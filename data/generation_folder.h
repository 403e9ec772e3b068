// Who may write a run's state. Every start takes a generation of its own, and with it the only name under which the
// state can be reached: a start that was overtaken, on a host that was cut off, say, finds its folder gone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace langrun {

/// RUN/NAME.GENERATION, beside a link RUN/NAME to it for people and scripts. langrun itself never goes through the
/// link.
struct GenerationFolder {
  std::filesystem::path path;
  std::int64_t generation = 0;  ///< 0: RUN/NAME itself, of a run from before there were generations, or of none
};

/// RUN/NAME.GENERATION, there or not.
GenerationFolder generation_folder(const std::filesystem::path& run, const std::string& name, std::int64_t generation);

/// The number behind "NAME.", or 0 where `entry` is no such name.
std::int64_t generation_of(const std::string& entry, const std::string& name);

/// Whether the folder is still where its start has taken it: a newer start takes it away first of all.
bool is_there(const GenerationFolder& folder);

/// Error(storage): `run` was overtaken by a newer start.
Error overtaken_error(const std::filesystem::path& run);

/// The folder of the highest generation; RUN/NAME where there is none. Looks, and touches nothing.
GenerationFolder newest_generation_folder(const std::filesystem::path& run, const std::string& name);

/// Looks at what a start is about to take over, and throws where it is not to.
using MayTake = std::function<void(const GenerationFolder& there)>;

/// Makes the state the next generation's, one that is at least `lowest`, unless `may_take` throws: renames the folder
/// of the highest generation, or makes an empty one where the run has none. The rename is one step that either happens
/// or does not: of two starts at the same moment the later one has the folder, and whoever was killed in the middle has
/// left it whole. What an older generation writes afterwards under the old name fails, since nobody makes that folder
/// again; files that it holds open it can still write, so those are to be replaced by new ones. RUN must be there. One
/// process of a start. Throws Error(storage).
GenerationFolder take_generation(const std::filesystem::path& run, const std::string& name, std::int64_t lowest = 1,
                                 const MayTake& may_take = {});

/// Puts a file into RUN for the start that has `folder`, over whatever stands there: `write` makes it under a name
/// within the folder, from which it is renamed, and that fails once a newer start has taken the folder. So nothing
/// comes into RUN from a start that was overtaken. `write` must not make folders. Throws overtaken_error, or
/// Error(storage).
void publish_from(const GenerationFolder& folder, const std::filesystem::path& to,
                  const std::function<void(const std::filesystem::path& partial)>& write);
/// The same for a text.
void publish_from(const GenerationFolder& folder, const std::filesystem::path& to, std::string_view text);

/// Points RUN/NAME at the folder, unless it does already. Throws as publish_from.
void link_generation(const std::filesystem::path& run, const std::string& name, const GenerationFolder& folder);

}  // namespace langrun
