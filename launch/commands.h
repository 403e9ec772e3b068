// The functions behind the commands; each stands in launch/command_<name>.cpp.
#pragma once

#include "launch/command.h"

namespace langrun::launch {

int run_shortrun(Call& call);
int run_midrun(Call& call);
int run_longrun(Call& call);
int run_convergent(Call& call);
int run_hat(Call& call);
int run_autoencoder(Call& call);
int run_classify(Call& call);
int run_sample(Call& call);
int run_score(Call& call);
int run_ood(Call& call);
int run_lyapunov(Call& call);
int run_density(Call& call);
int run_defend(Call& call);
int run_data_import(Call& call);
int run_data_synth(Call& call);
int run_data_info(Call& call);
int run_weights_import(Call& call);
int run_weights_export(Call& call);
int run_status(Call& call);
int run_verify(Call& call);
int run_relane(Call& call);
int run_diff(Call& call);
int run_report(Call& call);
int run_plan(Call& call);
int run_doctor(Call& call);
int run_bench(Call& call);

}  // namespace langrun::launch
