// What a network is built from, as the text attributes beside its weights, and back.
#pragma once

#include <string>
#include <vector>

#include "core/settings.h"
#include "data/weights_file.h"

namespace langrun {

WeightFacts facts_of(const EnergyConfig& config);
WeightFacts facts_of(const GeneratorConfig& config);
WeightFacts facts_of(const ClassifierConfig& config);
WeightFacts facts_of(const EncoderConfig& config);

/// Names of classes as one fact, and back; none where there is no such fact.
void add_class_names(WeightFacts& facts, const std::vector<std::string>& names);
std::vector<std::string> class_names(const WeightFacts& facts);

/// The settings that `facts` name; what they leave out keeps its default. Throw Error(input) for a missing `network`
/// or a malformed value; `where` names the source.
EnergyConfig energy_config(const WeightFacts& facts, const std::string& where);
GeneratorConfig generator_config(const WeightFacts& facts, const std::string& where);
ClassifierConfig classifier_config(const WeightFacts& facts, const std::string& where);
EncoderConfig encoder_config(const WeightFacts& facts, const std::string& where);

}  // namespace langrun
