# NCCL as the target langrun_nccl: the one that LibTorch itself loads, since two versions in one program would clash; a
# system's own only where LibTorch brings none.
find_path(NCCL_INCLUDE nccl.h HINTS ${LANGRUN_TORCH}/../nvidia/nccl/include)
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${LANGRUN_TORCH}/../nvidia/nccl/lib ${LANGRUN_TORCH}/lib)
if(NOT NCCL_INCLUDE OR NOT NCCL_LIBRARY)
  message(FATAL_ERROR "NCCL was found neither beside LibTorch nor on the system. Name its prefix in CMAKE_PREFIX_PATH, "
                      "or build without the CUDA and NCCL parts: -DLANGRUN_CUDA=OFF.")
endif()
file(STRINGS ${NCCL_INCLUDE}/nccl.h nccl_numbers REGEX "define NCCL_(MAJOR|MINOR|PATCH) ")
string(REGEX REPLACE "[^0-9;]" "" nccl_numbers "${nccl_numbers}")
string(REPLACE ";" "." LANGRUN_NCCL_VERSION "${nccl_numbers}")
message(STATUS "NCCL ${LANGRUN_NCCL_VERSION}: ${NCCL_LIBRARY}")
add_library(langrun_nccl INTERFACE)
target_include_directories(langrun_nccl SYSTEM INTERFACE ${NCCL_INCLUDE})
target_link_libraries(langrun_nccl INTERFACE ${NCCL_LIBRARY} CUDA::cudart)
