#include "jobs/evaluation_config.h"

namespace langrun {

std::vector<std::string> attack_kinds() {
  return {"none", "pgd", "fgsm", "transfer", "bpda", "bpda-eot", "apgd-ce", "apgd-dlr", "full", "full-smooth"};
}

bool attacks_bare(const AttackConfig& attack) {
  return attack.kind == "pgd" || attack.kind == "fgsm" || attack.kind == "transfer";
}

bool attacks_pathwise(const AttackConfig& attack) { return attack.kind == "full" || attack.kind == "full-smooth"; }

}  // namespace langrun
