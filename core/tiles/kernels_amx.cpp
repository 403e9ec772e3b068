// Products on the processor's own tiles. Compiled with these instructions; called only where they exist.
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/tiles/amx.h"

namespace langrun::tiles {
namespace {

/// What LDTILECFG reads.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

/// By the assembler's own names, since the compiler's intrinsics take no template argument for a register.
struct Hardware {
  static void shape(int rows) {
    TileShapes shapes;
    for (int t = 0; t < 8; ++t) {
      shapes.row_bytes[t] = 64;
      shapes.rows[t] = static_cast<std::uint8_t>(t < 6 ? rows : kTileRows);
    }
    _tile_loadconfig(&shapes);
  }
  template <int t>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(t));
  }
  template <int t>
  static void load(const void* from, std::size_t bytes) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(bytes), "i"(t) : "memory");
  }
  template <int sum, int value, int weight>
  static void product() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(value), "i"(weight));
  }
  template <int t>
  static void store(void* to, std::size_t bytes) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(bytes), "i"(t) : "memory");
  }
};

void begin() { Hardware::shape(kTileRows); }
void end() { _tile_release(); }

}  // namespace

bool ask_for_tiles() {
  // Linux gives tile registers to a process that asks for them: ARCH_REQ_XCOMP_PERM, component 18.
  constexpr long kRequest = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

ProductRoutines amx_products() { return {&AmxProducts<Hardware>::multiply, &begin, &end}; }

}  // namespace langrun::tiles
