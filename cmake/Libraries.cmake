# The rest of what we link, each as one target.
add_library(langrun_mpi INTERFACE)
target_link_libraries(langrun_mpi INTERFACE MPI::MPI_C)
# The old C++ bindings are gone from most MPI builds; their declarations would still ask for them.
target_compile_definitions(langrun_mpi INTERFACE OMPI_SKIP_MPICXX=1 MPICH_SKIP_MPICXX=1)

add_library(langrun_hdf5 INTERFACE)
target_include_directories(langrun_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(langrun_hdf5 INTERFACE ${HDF5_C_LIBRARIES})

# LibTorch ships the headers of a newer fmt than most systems have as a library; they win, so their code is compiled here.
add_library(langrun_fmt STATIC core/fmt.cpp)
target_include_directories(langrun_fmt SYSTEM PUBLIC ${LANGRUN_TORCH}/include)

find_path(NLOHMANN_JSON_INCLUDE nlohmann/json.hpp REQUIRED)
find_path(XXHASH_INCLUDE xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
add_library(langrun_json INTERFACE)
target_include_directories(langrun_json SYSTEM INTERFACE ${NLOHMANN_JSON_INCLUDE})
add_library(langrun_xxhash INTERFACE)
target_include_directories(langrun_xxhash SYSTEM INTERFACE ${XXHASH_INCLUDE})
target_link_libraries(langrun_xxhash INTERFACE ${XXHASH_LIBRARY})

find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(TURBOJPEG REQUIRED IMPORTED_TARGET libturbojpeg)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(PROTOBUF REQUIRED IMPORTED_TARGET protobuf)
