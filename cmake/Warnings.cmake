# Warnings and sanitizers for our own targets; other people's headers come in as SYSTEM.
add_library(langrun_options INTERFACE)
target_compile_options(langrun_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter
  # GCC 12 sees overlaps in std::string operations that are none.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>>)
# a*b+c is fused only where the code says fma: the same source gives the same bits in every file.
target_compile_options(langrun_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
target_include_directories(langrun_options INTERFACE ${CMAKE_SOURCE_DIR})
if(LANGRUN_SANITIZE)
  target_compile_options(langrun_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(langrun_options INTERFACE -fsanitize=address,undefined)
endif()
