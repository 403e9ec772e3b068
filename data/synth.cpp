#include "data/synth.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>

#include "core/noise.h"

namespace langrun {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;

struct Point {
  float x = 0, y = 0;
};
Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
Point operator*(Point a, float s) { return {a.x * s, a.y * s}; }
float dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
float length(Point a) { return std::sqrt(dot(a, a)); }
/// A turn, its sine and cosine taken once.
struct Turn {
  explicit Turn(float angle = 0) : c(std::cos(angle)), s(std::sin(angle)) {}
  Point operator()(Point a) const { return {c * a.x - s * a.y, s * a.x + c * a.y}; }
  float c, s;
};
Point turn(Point a, float angle) { return Turn(angle)(a); }

struct Colour {
  float r = 0, g = 0, b = 0;
};
Colour mix(Colour a, Colour b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}
Colour lit(Colour a, float light) { return {a.r * light, a.g * light, a.b * light}; }

/// Hue in turns, saturation and value in [0, 1].
Colour from_hue(float hue, float saturation, float value) {
  const auto channel = [&](float phase) {
    const float t = std::abs(std::fmod(hue + phase + 2.0F, 1.0F) * 6.0F - 3.0F) - 1.0F;
    return value * (1.0F - saturation + saturation * std::clamp(t, 0.0F, 1.0F));
  };
  return {channel(0.0F), channel(2.0F / 3.0F), channel(1.0F / 3.0F)};
}

float smooth(float low, float high, float x) {
  const float t = std::clamp((x - low) / (high - low), 0.0F, 1.0F);
  return t * t * (3.0F - 2.0F * t);
}

/// Signed distance to a polygon, negative inside: nearest edge, sign by counting crossings.
float polygon(std::span<const Point> corners, Point p) {
  float nearest = 1e9F;
  bool inside = false;
  for (std::size_t i = 0, before = corners.size() - 1; i < corners.size(); before = i++) {
    const Point a = corners[before], b = corners[i], edge = b - a;
    const float along = std::clamp(dot(p - a, edge) / dot(edge, edge), 0.0F, 1.0F);
    nearest = std::min(nearest, length(p - (a + edge * along)));
    if ((a.y > p.y) != (b.y > p.y) && p.x < a.x + (p.y - a.y) / edge.y * edge.x) inside = !inside;
  }
  return inside ? -nearest : nearest;
}

float box(Point p, float half_width, float half_height) {
  const Point q{std::abs(p.x) - half_width, std::abs(p.y) - half_height};
  return length({std::max(q.x, 0.0F), std::max(q.y, 0.0F)}) + std::min(std::max(q.x, q.y), 0.0F);
}

/// Corners on alternating radii, the first on top: 3 of one radius make a triangle, 10 of two a star.
void place_corners(std::span<Point> corners, float even, float odd) {
  for (std::size_t i = 0; i < corners.size(); ++i)
    corners[i] =
        turn({0, i % 2 == 0 ? -even : -odd}, 2.0F * kPi * static_cast<float>(i) / static_cast<float>(corners.size()));
}

enum Kind { disc, ring, square, triangle, star, cross, bars, checker, crescent, pair };

/// Everything random about one image, drawn in one go.
struct Scene {
  Kind kind = disc;
  Point center;
  float scale = 1, detail = 0;
  Turn to_own;                      ///< from the picture's axes to the shape's
  std::array<Point, 10> corners{};  ///< of triangles and stars
  Colour fill, second, ground_a, ground_b;
  int texture = 0;
  Turn texture_turn;
  float texture_pitch = 1, texture_phase = 0;
  Point spot;  ///< middle of a round gradient
  Point light;
  std::array<float, 128> lattice{};
};

class Draws {
 public:
  Draws(std::uint64_t seed, std::uint64_t index) {
    fill_uniform(noise_key(seed, Stream::synthetic), {index, 0}, values_);
  }
  float in(float low, float high) { return low + (high - low) * values_[next_++]; }
  std::span<const float> lattice() const { return std::span(values_).subspan(64, 128); }

 private:
  std::array<float, 192> values_{};
  std::size_t next_ = 0;
};

Scene draw_scene(std::uint64_t seed, std::uint64_t index) {
  Draws draws(seed, index);
  Scene scene;
  scene.kind = static_cast<Kind>(index % 10);
  scene.center = {draws.in(-0.22F, 0.22F), draws.in(-0.22F, 0.22F)};
  scene.scale = draws.in(0.48F, 0.76F);
  // Upright things stay nearly upright, as in photographs; round and barred ones turn freely.
  const bool upright = scene.kind == square || scene.kind == triangle || scene.kind == star || scene.kind == cross ||
                       scene.kind == checker;
  scene.to_own = Turn(upright ? draws.in(-0.35F, 0.35F) : draws.in(-kPi, kPi));
  scene.detail = draws.in(0.0F, 1.0F);
  const float ground_hue = draws.in(0.0F, 1.0F), hue = ground_hue + draws.in(0.25F, 0.75F);
  const bool dark_ground = draws.in(0.0F, 1.0F) < 0.5F;
  const float ground_value = dark_ground ? draws.in(0.18F, 0.42F) : draws.in(0.66F, 0.92F);
  const float ground_saturation = draws.in(0.15F, 0.55F);
  scene.ground_a = from_hue(ground_hue, ground_saturation, ground_value);
  scene.ground_b = from_hue(ground_hue + draws.in(-0.09F, 0.09F), std::min(1.0F, ground_saturation + 0.15F),
                            ground_value * draws.in(0.55F, 0.8F));
  const float value = dark_ground ? draws.in(0.82F, 1.0F) : draws.in(0.4F, 0.78F);
  scene.fill = from_hue(hue, draws.in(0.65F, 0.95F), value);
  scene.second = from_hue(hue + draws.in(0.1F, 0.22F), draws.in(0.5F, 0.9F), dark_ground ? value : value * 0.62F);
  scene.texture = static_cast<int>(draws.in(0.0F, 5.0F));
  scene.texture_turn = Turn(draws.in(-kPi, kPi));
  scene.texture_pitch = draws.in(1.6F, 3.4F);
  scene.texture_phase = draws.in(0.0F, 1.0F);
  scene.spot = turn({0.5F, 0}, scene.texture_phase * 2.0F * kPi);
  if (scene.kind == triangle) place_corners(std::span(scene.corners).first(3), 1.05F, 1.05F);
  if (scene.kind == star) place_corners(scene.corners, 1.08F, 0.42F + 0.12F * scene.detail);
  scene.light = turn({0, -1}, draws.in(-0.9F, 0.9F));
  std::copy(draws.lattice().begin(), draws.lattice().end(), scene.lattice.begin());
  return scene;
}

/// Smooth noise in [0, 1] over an 8 x 8 lattice that repeats.
float lattice_noise(std::span<const float> lattice, Point p) {
  const float fx = std::floor(p.x), fy = std::floor(p.y);
  const auto at = [&](float x, float y) {
    return lattice[static_cast<std::size_t>((static_cast<int>(y) & 7) * 8 + (static_cast<int>(x) & 7))];
  };
  const float tx = smooth(0, 1, p.x - fx), ty = smooth(0, 1, p.y - fy);
  const float top = at(fx, fy) + (at(fx + 1, fy) - at(fx, fy)) * tx;
  const float bottom = at(fx, fy + 1) + (at(fx + 1, fy + 1) - at(fx, fy + 1)) * tx;
  return top + (bottom - top) * ty;
}

Colour ground(const Scene& scene, Point p) {
  const Point q = scene.texture_turn(p);
  const float phase = scene.texture_phase * 2.0F * kPi;
  float t = 0;
  switch (scene.texture) {
    case 0: t = smooth(-1.2F, 1.2F, q.x); break;
    case 1: t = smooth(0.1F, 1.6F, length(p - scene.spot)); break;
    case 2:
      t = 0.65F * lattice_noise(std::span(scene.lattice).first(64), q * scene.texture_pitch + Point{phase, phase}) +
          0.35F * lattice_noise(std::span(scene.lattice).last(64), q * (scene.texture_pitch * 2.6F) + Point{phase, 0});
      break;
    case 3: t = 0.5F + 0.5F * std::sin(q.x * scene.texture_pitch * kPi + phase); break;
    default:
      t = 0.5F + 0.25F * std::sin(q.x * scene.texture_pitch * kPi + phase) +
          0.25F * std::sin(q.y * scene.texture_pitch * kPi);
  }
  return mix(scene.ground_a, scene.ground_b, t);
}

/// Signed distance to the shape in its own coordinates, where it fills about the unit disc.
float shape_distance(const Scene& scene, Point p) {
  switch (scene.kind) {
    case disc: return length(p) - 0.9F;
    case ring: {
      const float width = 0.17F + 0.1F * scene.detail;
      return std::abs(length(p) - (0.95F - width)) - width;
    }
    case square: return box(p, 0.8F, 0.8F);
    case triangle: return polygon(std::span(scene.corners).first(3), p);
    case star: return polygon(scene.corners, p);
    case cross: {
      const float arm = 0.24F + 0.12F * scene.detail;
      return std::min(box(p, 0.95F, arm), box(p, arm, 0.95F));
    }
    case bars: {
      const float half = 0.15F + 0.05F * scene.detail;
      return std::min(box({p.x, std::abs(p.y) - 0.66F}, 0.92F, half), box(p, 0.92F, half));
    }
    case checker: return box(p, 0.9F, 0.9F);
    case crescent: return std::max(length(p) - 0.95F, 0.72F + 0.08F * scene.detail - length(p - Point{0.48F, 0}));
    case pair:
      return std::min(length(p - Point{-0.52F, 0}) - 0.46F, length(p - Point{0.5F, 0}) - (0.34F + 0.1F * scene.detail));
  }
  return 1;
}

/// Colour of the shape itself: two-coloured where its kind says so, lit from one side.
Colour shape_colour(const Scene& scene, Point own, Point p) {
  Colour colour = scene.fill;
  if (scene.kind == checker) {
    const int cells = scene.detail < 0.5F ? 3 : 4;
    const auto cell = [&](float x) {
      return static_cast<int>(std::floor((x / 1.8F + 0.5F) * static_cast<float>(cells)));
    };
    if ((cell(own.x) + cell(own.y)) & 1) colour = scene.second;
  } else if (scene.kind == pair && own.x > 0) {
    colour = scene.second;
  }
  const float side = dot(p - scene.center, scene.light) / scene.scale;
  return lit(colour, 1.0F + 0.16F * std::clamp(side, -1.2F, 1.2F));
}

/// One point of the picture; `pixel` is the width over which an edge is softened.
Colour shade(const Scene& scene, Point p, float pixel) {
  const auto own = [&](Point at) { return scene.to_own(at - scene.center) * (1.0F / scene.scale); };
  Colour colour = ground(scene, p);
  const float shadow = shape_distance(scene, own(p + scene.light * 0.09F)) * scene.scale;
  colour = lit(colour, 1.0F - 0.38F * (1.0F - smooth(-0.06F, 0.14F, shadow)));
  const Point q = own(p);
  const float distance = shape_distance(scene, q) * scene.scale;
  const float cover = std::clamp(0.5F - distance / pixel, 0.0F, 1.0F);
  return mix(colour, shape_colour(scene, q, p), cover);
}

}  // namespace

const std::vector<std::string>& synthetic_classes() {
  static const std::vector<std::string> names{"disc",  "ring", "square",  "triangle", "star",
                                              "cross", "bars", "checker", "crescent", "pair"};
  return names;
}

Raster synthetic_image(std::uint64_t seed, std::uint64_t index, std::int64_t size) {
  const Scene scene = draw_scene(seed, index);
  Raster image{size, size, 3, {}};
  image.pixels.resize(image.bytes());
  const float pixel = 2.0F / static_cast<float>(size);
  // Two by two points a pixel, each with an edge half a pixel soft: smooth outlines and checks.
  constexpr std::array<float, 2> kPlaces{0.25F, 0.75F};
  for (std::int64_t y = 0; y < size; ++y)
    for (std::int64_t x = 0; x < size; ++x) {
      Colour sum;
      for (const float dy : kPlaces)
        for (const float dx : kPlaces) {
          const Point p{(static_cast<float>(x) + dx) * pixel - 1.0F, (static_cast<float>(y) + dy) * pixel - 1.0F};
          const Colour c = shade(scene, p, pixel * 0.5F);
          sum = {sum.r + c.r, sum.g + c.g, sum.b + c.b};
        }
      std::uint8_t* out = image.pixels.data() + (y * size + x) * 3;
      int channel = 0;
      for (const float value : {sum.r, sum.g, sum.b})
        out[channel++] = static_cast<std::uint8_t>(std::lround(std::clamp(value / 4.0F, 0.0F, 1.0F) * 255.0F));
    }
  return image;
}

}  // namespace langrun
