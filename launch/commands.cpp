#include "launch/commands.h"

namespace langrun::launch {

const std::vector<Command>& commands() {
  static const std::vector<Command> all{
      {"shortrun", "trains an energy and a generator together on persistent chains", run_shortrun},
      {"midrun", "trains an energy on a bank that a frozen generator or data rejuvenates", run_midrun},
      {"longrun", "trains an energy on chains that a burn-in bank hands over to an update bank", run_longrun},
      {"convergent", "trains an energy on chains that begin once, from uniform noise", run_convergent},
      {"hat", "trains the energy of a generator's image plus a residual", run_hat},
      {"autoencoder", "trains an autoencoder, whose decoder hat --mode retrofit takes", run_autoencoder},
      {"classify", "trains a classifier, on images or on attacks", run_classify},
      {"sample", "chains of any source under a trained energy", run_sample},
      {"score", "Frechet distance of two image stores", run_score},
      {"defend", "attacks a classifier behind Langevin chains, and measures what holds", run_defend},
      {"ood", "AUROC of an energy against other images", run_ood},
      {"lyapunov", "Lyapunov exponents of a trained energy's chains over noise scales", run_lyapunov},
      {"density", "the density of a run on points of the plane, against the exact one", run_density},
      {"data import", "images of a folder, tar or CIFAR files into an image store", run_data_import},
      {"data synth", "a procedural image set as an image store", run_data_synth},
      {"data info", "what an image store holds", run_data_info},
      {"weights import", "read PyTorch weights into a file of weights", run_weights_import},
      {"weights export", "write weights as a PyTorch state dict, with its modules", run_weights_export},
      {"run status", "how far a run is, and its checkpoints", run_status},
      {"run verify", "checks the files of every checkpoint, or of an evaluation or a sampling", run_verify},
      {"run relane", "a run with another number of lanes, from a checkpoint", run_relane},
      {"run diff", "compares two runs bit by bit", run_diff},
      {"run report", "a run on one page: DIR/report.html", run_report},
      {"plan", "memory, traffic, checkpoints and speed of a job, without running it", run_plan},
      {"doctor", "looks at hosts, network, run folder and data before a job is started", run_doctor},
      {"bench", "measures this machine beside PyTorch", run_bench},
  };
  return all;
}

}  // namespace langrun::launch
