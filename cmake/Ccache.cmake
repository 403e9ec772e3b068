# Compiler cache, where there is one. Paths are taken relative to the project, so another checkout of the same source
# finds what this one compiled.
find_program(LANGRUN_CCACHE ccache)
if(LANGRUN_CCACHE)
  # Precompiled headers hide macros and times from ccache; the sloppiness says which differences do not matter.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1 ${LANGRUN_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

# langrun_precompile(TARGET HEADER): a precompiled header that ccache knows by what went into it. Its own bytes differ from
# one compilation to the next, and would make every file that uses it look new.
function(langrun_precompile target header)
  target_precompile_headers(${target} PRIVATE ${header})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${header} ${LANGRUN_TORCH}/include/torch/headeronly/version.h)
  file(SHA256 ${CMAKE_CURRENT_SOURCE_DIR}/${header} text)
  file(SHA256 ${LANGRUN_TORCH}/include/torch/headeronly/version.h torch)
  # As ccache sees it, so that another checkout with its LibTorch at the same place finds what this one compiled.
  file(RELATIVE_PATH place ${CMAKE_SOURCE_DIR} ${LANGRUN_TORCH})
  set(sum "${text} ${torch} ${place} ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}\n")
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx.gch.sum CONTENT "${sum}")
endfunction()
