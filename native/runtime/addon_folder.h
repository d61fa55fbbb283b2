// Where the addon lies on disk; the shared objects with its kernels lie beside it.
#pragma once

#include <string>

namespace hadal {

std::string addon_folder();

}  // namespace hadal
