// Shared libraries, and where the addon lies on disk: those with its kernels lie beside it. Paths are UTF-8.
#pragma once

#include <string>

namespace hadal {

// By path, or by a name that the system looks for. Null where it cannot be loaded; library_error() then says which and why. Never closed.
void* open_library(const std::string& path);
std::string library_error(const std::string& path);

// Null where the library has no such symbol.
void* find_symbol(void* library, const char* name);

std::string addon_folder();

}  // namespace hadal
