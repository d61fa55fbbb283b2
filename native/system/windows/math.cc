// What MinGW's functions get wrong. The linker sends their calls here (--wrap, CMakeLists.txt). Compiled into each level's kernels too.
#include <cmath>

extern "C" {
// Its sine and cosine are the processor's, whose π has 66 bits: of large arguments nothing is right. Those of Windows' C library are exact.
extern double (*__imp_sin)(double);
extern double (*__imp_cos)(double);

double __wrap_sin(double x) { return __imp_sin(x); }
double __wrap_cos(double x) { return __imp_cos(x); }

// Its logarithm of Γ is infinite for the smallest numbers, where Γ(x) is 1 / x.
double __real_lgamma(double x);

double __wrap_lgamma(double x) { return std::abs(x) < 0x1p-60 ? -std::log(std::abs(x)) : __real_lgamma(x); }
}
