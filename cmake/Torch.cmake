# LibTorch as imported targets, straight from its folder. Torch's own CMake package insists on a CUDA toolkit whenever
# it was built with CUDA, even for a CPU-only build of ours, and ignores CMAKE_CUDA_ARCHITECTURES; two libraries and
# two include folders are all we need of it.
if(NOT LANGRUN_TORCH AND DEFINED ENV{LANGRUN_TORCH})
  set(LANGRUN_TORCH $ENV{LANGRUN_TORCH} CACHE PATH "" FORCE)
endif()
if(NOT EXISTS "${LANGRUN_TORCH}/include/torch/csrc/api/include/torch/torch.h")
  message(FATAL_ERROR "LANGRUN_TORCH='${LANGRUN_TORCH}' is not the folder of a LibTorch (no include/torch/...). "
                      "Run launch/quickstart, or set LANGRUN_TORCH.")
endif()
set(torch_links torch torch_cpu c10)
set(LANGRUN_TORCH_HAS_CUDA OFF)
if(EXISTS "${LANGRUN_TORCH}/lib/libtorch_cuda.so")
  set(LANGRUN_TORCH_HAS_CUDA ON)
  list(APPEND torch_links torch_cuda c10_cuda)
endif()
add_library(langrun_torch INTERFACE)
target_include_directories(langrun_torch SYSTEM INTERFACE
  ${LANGRUN_TORCH}/include ${LANGRUN_TORCH}/include/torch/csrc/api/include)
# torch registers its CUDA backend in a library nobody calls by name, so the linker must not drop it.
target_link_options(langrun_torch INTERFACE -Wl,--no-as-needed)
foreach(name ${torch_links})
  target_link_libraries(langrun_torch INTERFACE ${LANGRUN_TORCH}/lib/lib${name}.so)
endforeach()
# torch from a Python environment finds its CUDA libraries, NCCL among them, in sibling folders. Another NCCL on the
# system is often older and lacks what libtorch_cuda wants, so these folders come first, at link time and at run time
# (RPATH rather than RUNPATH: the latter loses to LD_LIBRARY_PATH).
file(GLOB torch_sibling_libs ${LANGRUN_TORCH}/../nvidia/*/lib)
foreach(folder ${LANGRUN_TORCH}/lib ${torch_sibling_libs})
  get_filename_component(folder ${folder} ABSOLUTE)
  target_link_options(langrun_torch INTERFACE -Wl,--disable-new-dtags -Wl,-rpath-link,${folder} -Wl,-rpath,${folder})
endforeach()
file(STRINGS ${LANGRUN_TORCH}/include/torch/headeronly/version.h torch_version REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX REPLACE "[^0-9;]" "" torch_version "${torch_version}")
string(REPLACE ";" "." LANGRUN_TORCH_VERSION "${torch_version}")
message(STATUS "LibTorch ${LANGRUN_TORCH_VERSION} at ${LANGRUN_TORCH} (CUDA: ${LANGRUN_TORCH_HAS_CUDA})")
