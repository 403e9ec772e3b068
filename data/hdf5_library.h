// What the files behind data/hdf5.h share of the HDF5 C library: its lock, its reasons, handles by kind. Nothing else
// includes this.
#pragma once

#include <hdf5.h>

#include <string>

#include "core/error.h"
#include "data/hdf5.h"

namespace langrun::h5 {

/// Held during every call into the library, which keeps process-wide state. Recursive: handles close inside locked
/// calls. A thread that GoesFirst gets it before all others that wait.
class Lock {
 public:
  Lock();
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
};

/// Throws an Error that ends with HDF5's reason for its last failure, on one line.
[[noreturn]] void fail(ExitCode code, const std::string& what, const std::string& hint = {});

/// The library's name for an element type in memory.
hid_t native(Type type);

/// A data space of this shape; with `maximum`, one that can grow to it.
Handle space_of(const Shape& shape, const Shape& maximum = {});

inline int close_file(std::int64_t id) { return H5Fclose(id); }
inline int close_dataset(std::int64_t id) { return H5Dclose(id); }
inline int close_space(std::int64_t id) { return H5Sclose(id); }
inline int close_type(std::int64_t id) { return H5Tclose(id); }
inline int close_group(std::int64_t id) { return H5Gclose(id); }
inline int close_attribute(std::int64_t id) { return H5Aclose(id); }
inline int close_plist(std::int64_t id) { return H5Pclose(id); }
inline int close_object(std::int64_t id) { return H5Oclose(id); }

}  // namespace langrun::h5
