// A tiny built-in typeface for labels in pictures.
#pragma once

namespace langrun::launch {

constexpr int kGlyphWidth = 5;   ///< pixels, without the gap to the next letter
constexpr int kGlyphHeight = 8;  ///< pixels: 7 of a capital letter, 1 below the line

/// Whether pixel (x, y) of a letter is ink; x in [0, kGlyphWidth), y in [0, kGlyphHeight) from the top. What is not
/// printable ASCII shows as a box.
bool glyph_pixel(char letter, int x, int y);

}  // namespace langrun::launch
