// What the vectors of native/cpu/simd.h do, on all 16-bit floats and on words of the Philox stream, as a line of its name and a hash for each
// function. Nothing here rounds in more than one way, so all processors must print the same. Built and run by arm64.test.ts.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cpu/philox_vector.h"
#include "cpu/reduce_fold.h"
#include "cpu/simd.h"
#include "kernels/convert.h"

using namespace hadal;
using namespace hadal::cpu;

namespace {

class Hash {
 public:
  explicit Hash(const char* name) : name_(name) {}
  ~Hash() { std::printf("%s %016llx\n", name_, static_cast<unsigned long long>(hash_)); }

  template <class T>
  void add(T value) {
    if constexpr (!std::is_integral_v<T>) {
      if (const auto number = static_cast<double>(value); number != number)
        return mix(0x7ff8);  // which NaN is the processor's choice
    }
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    mix(bits);
  }
  template <class T>
  void add(const std::vector<T>& values) {
    for (const T value : values) add(value);
  }
  template <class V>
    requires Vector<V>
  void add_lanes(V v) {
    for (int i = 0; i < static_cast<int>(sizeof v / sizeof v[0]); ++i) add(static_cast<LaneOf<V>>(v[i]));
  }

 private:
  void mix(uint64_t bits) { hash_ = (hash_ ^ bits) * 1099511628211u; }

  const char* name_;
  uint64_t hash_ = 14695981039346656037u;
};

constexpr int kBlocks = 1 << 14;
constexpr PhiloxKey kKey{17, 4};

// Any bits, as T: all kinds of numbers, infinities and NaN.
template <class T>
std::vector<T> any_bits() {
  std::vector<uint32_t> words(4 * kBlocks);
  for (int i = 0; i < kBlocks; ++i) philox(i, kKey, words.data() + 4 * i);
  std::vector<T> values(words.size() * sizeof(uint32_t) / sizeof(T));
  std::memcpy(static_cast<void*>(values.data()), words.data(), values.size() * sizeof(T));
  return values;
}
// The same, where more of them lie in the range of 16-bit floats.
std::vector<float> moderate() {
  std::vector<float> values = any_bits<float>();
  int exponent;
  for (size_t i = 0; i < values.size(); i += 2)
    values[i] = std::ldexp(std::frexp(values[i], &exponent), static_cast<int>(i % 48) - 28);
  return values;
}

template <class Half>
void sixteen_bits(const char* load_name, const char* store_name, const char* number_name) {
  std::vector<Half> all(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<uint16_t>(i);
  Hash loaded(load_name), stored(store_name), number(number_name);
  for (size_t i = 0; i < all.size(); i += kLanes<float>) loaded.add_lanes(load(all.data() + i));
  for (const Half half : all) number.add(static_cast<float>(half));
  const std::vector<float> values = moderate();
  for (size_t i = 0; i < values.size(); i += kLanes<float>) {
    Half halves[kLanes<float>];
    store(halves, load(values.data() + i));
    for (int lane = 0; lane < kLanes<float>; ++lane) {
      stored.add(static_cast<float>(halves[lane]));
      number.add(static_cast<float>(Half(values[i + lane])));
    }
  }
}

template <class T>
void floating(const char* rounding_name, const char* root_name, const char* order_name) {
  const std::vector<T> values = any_bits<T>();
  Hash rounding(rounding_name), root(root_name), order(order_name);
  for (size_t i = 0; i + kLanes<T> < values.size(); i += kLanes<T>) {
    const Vec<T> v = load(values.data() + i), other = load(values.data() + i + 1);
    rounding.add_lanes(round_lanes<0>(v));
    rounding.add_lanes(round_lanes<1>(v));
    rounding.add_lanes(round_lanes<2>(v));
    rounding.add_lanes(round_lanes<3>(v));
    root.add_lanes(vsqrt(v));
    order.add_lanes(vmin(v, other));
    order.add_lanes(vmax(v, other));
    order.add(horizontal_max(v));
    order.add(any_lane(v < other));
  }
}

template <class T>
void parts(const char* name) {
  using C = std::conditional_t<std::is_arithmetic_v<T>, T, float>;
  const std::vector<T> values = any_bits<T>();
  Hash hash(name);
  for (int count = 1; count < kLanes<C>; ++count) {
    const auto v = load_partial(values.data() + count, count, C(3));
    hash.add_lanes(v);
    std::vector<T> to(values.begin(), values.begin() + 2 * kLanes<C>);
    store_partial(to.data() + 1, v, count);
    hash.add(to);
  }
}

template <class To, class From>
void folds(const char* name) {
  const std::vector<From> values = any_bits<From>();
  Hash hash(name);
  for (size_t i = 0; i < values.size(); i += kLanes<To>) hash.add_lanes(load_as<To>(values.data() + i));
}

template <class To, class From>
void conversions(const char* name) {
  Hash hash(name);
  for (const From value : any_bits<From>()) hash.add(convert<To>(value));
}

}  // namespace

int main() {
  sixteen_bits<Float16>("load float16", "store float16", "float16");
  sixteen_bits<BFloat16>("load bfloat16", "store bfloat16", "bfloat16");
  floating<float>("round float", "sqrt float", "order float");
  floating<double>("round double", "sqrt double", "order double");
  parts<float>("parts of float");
  parts<double>("parts of double");
  parts<int16_t>("parts of int16");
  parts<uint8_t>("parts of uint8");
  parts<Float16>("parts of float16");
  parts<BFloat16>("parts of bfloat16");
  folds<float, uint8_t>("uint8 as float");
  folds<float, int8_t>("int8 as float");
  folds<int64_t, uint8_t>("uint8 as int64");
  folds<int64_t, int16_t>("int16 as int64");
  folds<double, int32_t>("int32 as double");
  conversions<int32_t, float>("float to int32");
  conversions<int64_t, float>("float to int64");
  conversions<uint8_t, float>("float to uint8");
  conversions<int8_t, double>("double to int8");
  conversions<Float16, double>("double to float16");
  conversions<BFloat16, int64_t>("int64 to bfloat16");
  {
    Hash hash("widen and narrow");
    const std::vector<float> values = any_bits<float>();
    for (size_t i = 0; i < values.size(); i += kLanes<float>) {
      const DoublePair pair = widen(load(values.data() + i));
      hash.add_lanes(pair.low);
      hash.add_lanes(pair.high);
      hash.add_lanes(narrow({pair.low * 1.1, pair.high * 1.1}));
    }
  }
  {
    Hash hash("bytes of masks");
    const std::vector<uint32_t> values = any_bits<uint32_t>();
    for (size_t i = 0; i < values.size(); i += kLanes<uint32_t>) {
      hash.add_lanes(narrow_lanes<VecOf<uint8_t, kLanes<uint32_t>>::type>(load(values.data() + i)));
      hash.add_lanes(narrow_lanes<VecOf<uint8_t, kLanes<uint64_t>>::type>((Vec<uint64_t>)load(values.data() + i)));
    }
  }
  {
    Hash hash("philox");
    std::vector<uint32_t> words(4 * kPhiloxLanes);
    for (int i = 0; i < kBlocks; i += kPhiloxLanes) {
      philox_vector(0xfffffff0u + static_cast<uint64_t>(i), kKey, words.data());
      hash.add(words);
    }
  }
  {
    Hash hash("multiply and add");
    for (int i = 0; i < 1000; ++i) {
      hash.add_lanes(multiply_add(static_cast<float>(i), broadcast(3.0f), broadcast(static_cast<float>(-i))));
      hash.add_lanes(multiply_add(static_cast<double>(i), broadcast(3.0), broadcast(static_cast<double>(-i))));
    }
  }
}
