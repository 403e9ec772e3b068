#include "launch/classify_options.h"

#include "core/networks/names.h"
#include "launch/training_options.h"

namespace langrun::launch {
namespace {

/// What the field trains classifiers with, where nothing else is said.
void set_defaults(ClassifyConfig& c) {
  auto& optimizer = c.learning.optimizer;
  optimizer.kind = "sgd";
  optimizer.momentum = 0.9;
  optimizer.weight_decay = 2e-4;
  c.learning.learning_rate = 0.1;
  c.learning.average = 0;
}

}  // namespace

void bind_classify(OptionTable& table, ClassifyConfig& c) {
  set_defaults(c);
  bind_training(table, "classify", c.training);
  table.choice("classifier.network", c.classifier.network, classifier_names(), "classifier");
  table.integer("classifier.width", c.classifier.width, "channels",
                "of its first group: resnet18 64, wrn28-10 160, others 16; 0: that", {0, 4096});
  table.choice("classifier.normalisation", c.classifier.normalisation, {"auto", "none", "cifar10", "imagenet"},
               "of images inside the network; none: [-1, 1] as they are; auto: the network's usual one");
  bind_learning(table, "classifier", c.learning);
  table.flag("classifier.nesterov", c.learning.optimizer.nesterov, "SGD: Nesterov's momentum");
  table.real("classifier.weight-decay", c.learning.optimizer.weight_decay, "",
             "times the weights, added to their gradient", {0, 1});
  table.integer("augment.crop", c.augment.crop, "pixels",
                "training images move by up to so many each way; what moves in is black; 0: they stay", {0, 16});
  table.flag("augment.flip", c.augment.flip, "mirror half of the training images; --augment.flip=false: as they are");
  table.integer("adversarial.steps", c.adversarial.steps, "steps",
                "train on attacks of so many steps (projected gradient ascent, l_inf, random start); 0: on images",
                {0, 1000});
  table.real("adversarial.eps", c.adversarial.eps, "/255", "radius of these attacks", {0, 255});
  table.real("adversarial.alpha", c.adversarial.alpha, "/255", "their step size", {0, 255});
  table.text("validation.data", c.validation.data, "image store on which accuracy is measured meanwhile; empty: none");
  table.integer("validation.every", c.validation.every, "steps", "how often; the last step always has it", {1});
}

}  // namespace langrun::launch
