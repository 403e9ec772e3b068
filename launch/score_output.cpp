#include "launch/score_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>

#include "data/image_store.h"
#include "launch/grid.h"

namespace langrun::launch {
namespace {

using Json = nlohmann::ordered_json;

// Columns of a picture of neighbours.
constexpr std::int64_t kColumns = 16;

struct Spread {
  double mean = 0, deviation = 0, least = 0, most = 0;
};

Spread spread_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  Spread spread{std::accumulate(values.begin(), values.end(), 0.0) / count, 0, *least, *most};
  for (const double v : values) spread.deviation += (v - spread.mean) * (v - spread.mean);
  spread.deviation = values.size() > 1 ? std::sqrt(spread.deviation / (count - 1)) : 0;
  return spread;
}

std::string text_of(const h5::AttributeValue& value) {
  return std::visit([](const auto& held) { return fmt::format("{}", held); }, value);
}

std::string describe(const ScoredSide& side, const ScoreResult& result) {
  const auto& images = side.images;
  const bool resized =
      result.net && (images.height != result.net->input_height || images.width != result.net->input_width);
  auto text =
      fmt::format("{} ({}{} images of {}x{}{}{})", images.path, side.stored ? "statistics of " : "", images.images,
                  images.height, images.width, images.channels == 1 ? ", grey" : "",
                  resized ? fmt::format(", resized to {}x{}", result.net->input_height, result.net->input_width) : "");
  std::string made;
  for (const auto& [name, value] : images.attributes)
    made += fmt::format("{}{} {}", made.empty() ? "" : ", ", name, text_of(value));
  return made.empty() ? text : fmt::format("{}\n           {}", text, made);
}

std::string used(const ScoredSide& side) {
  const auto& images = side.images;
  return fmt::format("{}, {}{}", images.count, images.choice,
                     images.choice == "random" ? fmt::format(" (seed {})", images.seed) : "");
}

bool alike(const ScoredSide& a, const ScoredSide& b) {
  return a.images.count == b.images.count && a.images.choice == b.images.choice && a.images.seed == b.images.seed;
}

Json json_of(const h5::AttributeValue& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

Json json_of(const ScoredSide& side) {
  const auto& images = side.images;
  Json attributes = Json::object();
  for (const auto& [name, value] : images.attributes) attributes[name] = json_of(value);
  return {{side.stored ? "statistics" : "store", images.path},
          {"images", images.images},
          {"height", images.height},
          {"width", images.width},
          {"channels", images.channels},
          {"count", images.count},
          {"choice", images.choice},
          {"seed", images.seed},
          {"block", images.block},
          {"threads", images.threads},
          {"attributes", attributes}};
}

Json json_of(const NetUsed& net) {
  return {{"network", net.network},         {"length", net.length}, {"input_height", net.input_height},
          {"input_width", net.input_width}, {"range", net.range},   {"weights", net.file},
          {"checksum", net.checksum}};
}

Json json_of(const std::vector<Neighbours>& neighbours) {
  Json all = Json::array();
  for (const auto& n : neighbours) {
    Json one{{"image", n.image}, {"pixels", {{"image", n.pixels.index}, {"distance", n.pixels.distance}}}};
    if (n.features) one["features"] = {{"image", n.features->index}, {"distance", n.features->distance}};
    all.push_back(std::move(one));
  }
  return all;
}

double mean_distance(const ScoreResult& result, bool features) {
  double sum = 0;
  for (const auto& n : result.neighbours) sum += features ? n.features->distance : n.pixels.distance;
  return sum / static_cast<double>(result.neighbours.size());
}

/// One image of a store into a picture's place, as float32 in [-1, 1].
void place(const ImageStore& store, std::uint64_t image, std::span<float> out) {
  std::vector<std::uint8_t> raw(store.image_bytes());
  store.read({&image, 1}, raw);
  std::transform(raw.begin(), raw.end(), out.begin(),
                 [](std::uint8_t v) { return static_cast<float>(v) / 127.5f - 1; });
}

}  // namespace

std::string score_table(const ScoreResult& result) {
  auto text = fmt::format("A          {}\n", describe(result.a, result));
  if (result.b) text += fmt::format("B          {}\n", describe(*result.b, result));
  if (!result.b || alike(result.a, *result.b))
    text += fmt::format("images     {}{}\n", used(result.a), result.b ? ", of each" : "");
  else
    text += fmt::format("images     {} of A; {} of B\n", used(result.a), used(*result.b));
  if (result.net)
    text += fmt::format("features   {} of length {}, weights {} ({}), images {}x{}, {}\n", result.net->network,
                        result.net->length, result.net->file, result.net->checksum, result.net->input_height,
                        result.net->input_width, result.net->range);
  if (result.distance) text += fmt::format("distance   {:.6f}\n", *result.distance);
  if (const auto& i = result.interval)
    text +=
        fmt::format("interval   {:.6f} to {:.6f} (95 %), standard error {:.6f}\n", i->low, i->high, i->standard_error);
  if (!result.similarities.empty()) {
    const auto s = spread_of(result.similarities);
    text += fmt::format("ssim       {:.6f}, {:.6f} to {:.6f}, over {} pairs\n", s.mean, s.least, s.most,
                        result.similarities.size());
  }
  if (!result.neighbours.empty()) {
    text += fmt::format("neighbours of {} images, on average {:.6f} away in pixels", result.neighbours.size(),
                        mean_distance(result, false));
    text += result.net ? fmt::format(", {:.6f} in features\n", mean_distance(result, true)) : "\n";
  }
  return text;
}

std::string score_json(const ScoreConfig& config, const ScoreResult& result) {
  Json json;
  if (result.distance) json["distance"] = *result.distance;
  if (const auto& i = result.interval)
    json["interval"] = {{"low", i->low},
                        {"high", i->high},
                        {"standard_error", i->standard_error},
                        {"mean_of_resamples", i->mean},
                        {"resamples", config.resamples},
                        {"seed", config.seed}};
  json["count"] = result.a.images.count;
  json["choice"] = result.a.images.choice;
  json["seed"] = result.a.images.seed;
  json["block"] = result.a.images.block;
  json["a"] = json_of(result.a);
  if (result.b) json["b"] = json_of(*result.b);
  if (result.net) json["features"] = json_of(*result.net);
  if (!result.similarities.empty()) {
    const auto s = spread_of(result.similarities);
    json["ssim"] = {{"mean", s.mean}, {"standard_deviation", s.deviation},   {"least", s.least},
                    {"most", s.most}, {"pairs", result.similarities.size()}, {"values", result.similarities}};
  }
  if (!result.neighbours.empty()) json["neighbours"] = json_of(result.neighbours);
  json["seconds"] = result.seconds;
  return json.dump(2) + "\n";
}

void draw_neighbours(const ScoreResult& result, const std::filesystem::path& out) {
  const auto a = ImageStore::open(result.a.images.path), b = ImageStore::open(result.b->images.path);
  const auto count = static_cast<std::int64_t>(result.neighbours.size());
  const auto columns = std::min(count, kColumns), bands = (count + columns - 1) / columns;
  const std::int64_t rows = result.net ? 3 : 2;
  const auto each = static_cast<std::size_t>(a.shape().elements());
  // White where the last band has fewer images.
  std::vector<float> pixels(static_cast<std::size_t>(bands * rows * columns) * each, 1.0f);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& n = result.neighbours[static_cast<std::size_t>(i)];
    const auto at = [&](std::int64_t row) {
      const auto cell = (i / columns * rows + row) * columns + i % columns;
      return std::span(pixels).subspan(static_cast<std::size_t>(cell) * each, each);
    };
    place(a, static_cast<std::uint64_t>(n.image), at(0));
    place(b, n.pixels.index, at(1));
    if (n.features) place(b, n.features->index, at(2));
  }
  const std::string label =
      result.net ? "in turn: A, nearest of B in pixels, in features" : "in turn: A, nearest of B in pixels";
  write_png(out, draw_grid({{label, pixels, bands * rows * columns, a.shape(), true}}, {.columns = columns}));
}

}  // namespace langrun::launch
