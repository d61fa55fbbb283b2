#include "runtime/cuda_library.h"

#include <filesystem>
#include <mutex>
#include <utility>

#include "system/library.h"

namespace hadal {

namespace {

struct Location {
  std::string path;
  std::string remedy;
};
std::mutex location_mutex;
Location location;

CudaLibrary load() {
  CudaLibrary none;
  std::string path = addon_folder() + "/libhadal-cuda.so";
  if (!std::filesystem::exists(path)) {
    const std::lock_guard lock(location_mutex);
    path = location.path;
    none.remedy = location.remedy;
  }
  if (path.empty()) return none;
  // The driver first: without one nothing else has to be touched.
  void* driver = open_library("libcuda.so.1");
  if (driver == nullptr) {
    none.remedy = "no NVIDIA driver was found (libcuda.so.1): install one to use a GPU";
    return none;
  }
  void* library = open_library(path);
  if (library == nullptr) {
    none.remedy = "the CUDA backend could not be loaded: " + library_error(path);
    return none;
  }
  const auto fill_in = reinterpret_cast<void (*)(CudaLibrary*)>(find_symbol(library, "hadal_cuda_library"));
  if (fill_in == nullptr) {
    none.remedy = path + " is not hadal's CUDA backend";
    return none;
  }
  CudaLibrary found;
  found.recorder = Profiler::recorder();
  fill_in(&found);
  return found;
}

}  // namespace

void locate_cuda_library(std::string path, std::string remedy) {
  const std::lock_guard lock(location_mutex);
  location = {std::move(path), std::move(remedy)};
}

const CudaLibrary& cuda_library() {
  static const CudaLibrary library = load();
  return library;
}

}  // namespace hadal
