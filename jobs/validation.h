// A classifier's accuracy on a store of its own, over all ranks.
#pragma once

#include <string>
#include <vector>

#include "core/networks/classifier.h"
#include "distributed/communicator.h"
#include "jobs/training_data.h"

namespace langrun {

class Validation {
 public:
  /// Opens the store. Throws Error(input) where it is missing, damaged, of another size or of other classes.
  Validation(const std::string& store, const ImageShape& image, const std::vector<std::string>& classes);

  std::uint64_t count() const { return data_.count(); }
  /// Share of the images whose largest logit is their label's. Calls have one shape, the last one filled up, so the
  /// verdicts do not depend on the ranks. Collective, all ranks; the classifier is in evaluation mode.
  double accuracy(Classifier& classifier, const at::Device& device, Communicator& world);

 private:
  std::int64_t correct_in_call(Classifier& classifier, const at::Device& device, std::uint64_t call);

  TrainingData data_;
};

}  // namespace langrun
