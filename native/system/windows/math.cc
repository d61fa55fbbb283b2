// What MinGW's C library gets wrong and Windows' own (since version 10) does not: its sine and cosine are the processor's, whose π has 66 bits, so
// that of large arguments nothing is right; its logarithm of Γ is infinite for the smallest numbers and loses its digits near 1. The linker sends
// calls here (--wrap, CMakeLists.txt). Compiled into each level's kernels too.
#include <windows.h>

namespace {

using Function = double (*)(double);

Function function_of_windows(const char* name) {
  return reinterpret_cast<Function>(reinterpret_cast<void*>(GetProcAddress(LoadLibraryW(L"ucrtbase.dll"), name)));
}

}  // namespace

#define HADAL_FUNCTION_OF_WINDOWS(name)                          \
  extern "C" double __wrap_##name(double x) {                    \
    static const Function function = function_of_windows(#name); \
    return function(x);                                          \
  }

HADAL_FUNCTION_OF_WINDOWS(sin)
HADAL_FUNCTION_OF_WINDOWS(cos)
HADAL_FUNCTION_OF_WINDOWS(lgamma)
