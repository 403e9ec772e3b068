#include "launch/convergent_options.h"

#include "launch/training_options.h"

namespace langrun::launch {

void bind_convergent(OptionTable& table, ConvergentConfig& config) {
  bind_energy_training(table, "convergent", config);
  table.integer("bank.size", config.bank_size, "chains",
                "slots of the persistent bank, over all lanes; 0: one for each training image", {0, 1'000'000'000});
  table.integer("sgd.from", config.sgd_from, "steps",
                "steps after which plain SGD takes over from Adam; 0: Adam throughout (the control, whose energies do "
                "not converge)",
                {0});
  table.real("sgd.learning-rate", config.sgd_rate, "",
             "learning rate of SGD, on mean U(data) - mean U(chains): not on that divided by T", {0, 1e9});
}

}  // namespace langrun::launch
