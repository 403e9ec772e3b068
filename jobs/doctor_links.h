// What ranks measured of their pairs, from each to all.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "distributed/agreement.h"
#include "distributed/link_probe.h"
#include "jobs/doctor_verdicts.h"

namespace langrun {

/// One measurement with `partner` as text; several are put one behind the other.
std::string link_text(int partner, const std::optional<Link>& link);
/// Texts by rank to pairs: what the lower rank measured, and no answer where either of them had none.
std::vector<LinkReport> links_of(const std::vector<std::string>& texts, const std::vector<std::string>& hosts);

}  // namespace langrun
