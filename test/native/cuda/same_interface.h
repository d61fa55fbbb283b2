// Compares what is declared by hand of a library with its headers, as it is compiled. Included by blas_lt_values.cc and cudnn_values.cc.
#pragma once

#include <type_traits>

#define SAME(ours, theirs) static_assert(static_cast<int>(ours) == static_cast<int>(theirs))

// Enumerations and pointers pass alike, whatever their names.
template <class T>
struct AsPassed {
  using type = std::conditional_t<std::is_enum_v<T>, int, std::conditional_t<std::is_pointer_v<T>, void*, T>>;
};
template <class Ours, class Theirs>
struct Alike : std::false_type {};
template <class R, class... P, class S, class... Q>
struct Alike<R (*)(P...), S (*)(Q...)> {
  static constexpr bool value = std::is_same_v<void(typename AsPassed<R>::type, typename AsPassed<P>::type...),
                                               void(typename AsPassed<S>::type, typename AsPassed<Q>::type...)>;
};
#define ALIKE(ours, theirs) static_assert(Alike<decltype(Library::ours), decltype(&theirs)>::value)
