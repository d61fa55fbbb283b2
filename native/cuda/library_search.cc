#include "cuda/library_search.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace hadal::cuda {
namespace {

// The parts of a list of folders separated by colons; empty ones are left out.
std::vector<std::string> folders_of(const std::string& list) {
  std::vector<std::string> folders;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin) folders.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return folders;
}

// Patterns of the folders where wheels put libraries, below a Python's prefix.
void add_wheels(std::vector<std::string>& patterns, const std::string& prefix) {
  for (const char* packages : {"site-packages", "dist-packages"}) {
    patterns.push_back(prefix + "/lib/python3*/" + packages + "/nvidia/*/lib");
  }
}

// Patterns (of glob) of the folders to look in, in order, after HADAL_CUDA_LIBS and the loader's own.
std::vector<std::string> patterns_of_folders() {
  std::vector<std::string> patterns;
  for (const char* name : {"CUDA_PATH", "CUDA_HOME"}) {
    if (const std::string root = variable(name); !root.empty()) {
      patterns.insert(patterns.end(), {root + "/lib64", root + "/lib", root + "/targets/*/lib"});
    }
  }
  patterns.insert(patterns.end(), {"/usr/local/cuda/lib64", "/opt/cuda/lib64"});
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const std::string prefix = variable(name); !prefix.empty()) add_wheels(patterns, prefix);
  }
  for (const std::string& folder : folders_of(variable("PYTHONPATH"))) patterns.push_back(folder + "/nvidia/*/lib");
  for (const std::string& folder : folders_of(variable("PATH"))) {
    if (access((folder + "/python3").c_str(), X_OK) == 0) {
      add_wheels(patterns, folder + "/..");
      break;
    }
  }
  if (const std::string home = variable("HOME"); !home.empty()) add_wheels(patterns, home + "/.local");
  add_wheels(patterns, "/usr/local");
  patterns.push_back("/usr/lib/python3/dist-packages/nvidia/*/lib");
  return patterns;
}

void* open_in(const std::string& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const std::string path = folder + "/" + name;
    if (access(path.c_str(), R_OK) != 0) continue;
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  }
  return nullptr;
}

}  // namespace

void* open_library(std::initializer_list<const char*> names) {
  for (const std::string& folder : folders_of(variable("HADAL_CUDA_LIBS"))) {
    if (void* library = open_in(folder, names)) return library;
  }
  for (const char* name : names) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  }
  for (const std::string& pattern : patterns_of_folders()) {
    glob_t found{};
    void* library = nullptr;
    if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc && library == nullptr; ++i) library = open_in(found.gl_pathv[i], names);
    }
    globfree(&found);
    if (library != nullptr) return library;
  }
  return nullptr;
}

}  // namespace hadal::cuda
