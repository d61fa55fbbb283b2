// This process, its environment and the process that has started it.
#pragma once

#include <optional>
#include <string>

namespace hadal {

// What a variable of the environment is now, the program's own changes included, which getenv() does not have on Windows.
std::optional<std::string> environment_variable(const char* name);

// Ends this process, as SIGTERM does, when its parent ends, if that is the process `parent`.
void end_with_parent(int parent);

}  // namespace hadal
