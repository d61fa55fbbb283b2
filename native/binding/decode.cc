#include "binding/decode.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/command_words.h"
#include "runtime/shape_text.h"

namespace hadal {

namespace {

constexpr int kHeaderWords = 5;
constexpr int kMaxTensors = 1 << 16;
constexpr int kMaxAttributes = 1 << 10;
constexpr int kMaxOptional = 16;  // no tensor behind so many may be absent

struct Arity {
  int inputs, outputs, attributes;
  bool inputs_vary, outputs_vary, attributes_vary;
  std::array<bool, kMaxOptional> optional;  // inputs, then outputs
};

const Arity& arity_of(Op op) {
  static const auto table = [] {
    std::vector<Arity> arities(static_cast<size_t>(op_count()));
    for (int i = 0; i < op_count(); ++i) {
      const OpInfo& info = op_info(static_cast<Op>(i));
      Arity& arity = arities[static_cast<size_t>(i)];
      arity.inputs = OpInfo::count(info.inputs);
      arity.outputs = OpInfo::count(info.outputs);
      arity.attributes = OpInfo::count(info.attributes);
      arity.inputs_vary = OpInfo::variadic(info.inputs);
      arity.outputs_vary = OpInfo::variadic(info.outputs);
      arity.attributes_vary = OpInfo::variadic(info.attributes);
      const auto mark_optional = [&](const char* list, int first) {
        for (const char* c = list; *c != '\0'; ++c) {
          if (*c == '?') arity.optional[first] = true;
          if (*c == ',') ++first;
        }
      };
      mark_optional(info.inputs, 0);
      mark_optional(info.outputs, arity.inputs);
    }
    return arities;
  }();
  return table[static_cast<size_t>(op)];
}

class WordReader {
 public:
  WordReader(double* words, size_t count) : words_(words), count_(count) {}

  // Throws unless so many words are left to read; what follows is not checked again.
  void require(int words) const {
    if (static_cast<size_t>(words) > count_ - at_) {
      throw Error(ErrorCode::kInternal, "record: longer than its buffer");
    }
  }
  double number() { return words_[at_++]; }
  int64_t integer(int64_t limit) {
    const double word = number();
    const auto value = static_cast<int64_t>(word);  // out of range and NaN become INT64_MIN
    if (static_cast<double>(value) != word || static_cast<uint64_t>(value) > static_cast<uint64_t>(limit)) {
      throw_word(word);
    }
    return value;
  }
  bool at_end() const { return at_ == count_; }
  double* position() const { return words_ + at_; }
  void skip(int words) { at_ += words; }

 private:
  [[noreturn]] void throw_word(double word) const {
    throw Error(ErrorCode::kInternal, "record: word " + std::to_string(at_ - 1) + " is " + std::to_string(word));
  }
  double* words_;
  size_t count_;
  size_t at_ = 0;
};

constexpr int64_t kMaxSize = int64_t{1} << 53;

void write_immediate(double* cell, DType dtype, double value) {
  visit_any("immediate", dtype, [&]<class T>() {
    T element;
    if constexpr (std::is_integral_v<T>) {
      const bool fits = value >= -9223372036854775808.0 && value < 9223372036854775808.0;
      element = static_cast<T>(fits ? static_cast<int64_t>(value) : 0);
      if (dtype == DType::kBool) element = value != 0;
    } else {
      element = T(value);
    }
    std::memcpy(cell, &element, sizeof element);
  });
}

// Fills in row-major strides. Answers the number of elements, with empty axes counted as one; INT64_MAX when it overflows.
int64_t set_contiguous(TensorView& view) {
  int64_t stride = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    view.strides[axis] = stride;
    if (__builtin_mul_overflow(stride, std::max<int64_t>(view.shape[axis], 1), &stride)) stride = INT64_MAX;
  }
  return stride;
}

// One past the last element that the view reaches, or a size no storage has.
int64_t extent(const TensorView& view, int64_t offset) {
  int64_t last = offset;
  for (int axis = 0; axis < view.rank; ++axis) {
    if (view.shape[axis] == 0) return 0;
    int64_t span;
    if (__builtin_mul_overflow(view.shape[axis] - 1, view.strides[axis], &span) ||
        __builtin_add_overflow(last, span, &last)) {
      return INT64_MAX;
    }
  }
  return last == INT64_MAX ? last : last + 1;
}

TensorKind kind_of(int64_t header) { return static_cast<TensorKind>(header & 15); }

bool is_new(TensorKind kind) { return kind == TensorKind::kFresh || kind == TensorKind::kArranged; }

int words_after_header(TensorKind kind, int rank) {
  switch (kind) {
    case TensorKind::kStored: return 3 + 2 * rank;
    case TensorKind::kContiguous: return 3 + rank;
    case TensorKind::kFresh: return 2 + rank;
    case TensorKind::kArranged: return 2 + 2 * rank;
    case TensorKind::kImmediate: return 1 + rank;
    default: return 0;
  }
}

// Gives memory to the fresh outputs and writes their names back into the record; all of them or none.
void allocate_outputs(Environment& environment, Backend& backend, Command& command, double* const words) {
  StorageTable& storages = environment.storages();
  double* word = words;
  try {
    for (int i = 0; i < command.output_count; ++i) {
      TensorView& view = command.tensors[command.input_count + i];
      const TensorKind kind = kind_of(static_cast<int64_t>(*word));
      if (is_new(kind)) {
        const size_t bytes = static_cast<size_t>(extent(view, 0)) * size_of(view.dtype);
        const Block block = environment.allocate(backend, bytes);
        const auto name = storages.insert(&backend, block, bytes);
        view.data = block.data;
        word[1] = name.slot;
        word[2] = name.generation;
      }
      word += 1 + words_after_header(kind, view.rank);
    }
  } catch (const Error& error) {
    double* undo = words;
    for (int i = 0; undo != word; ++i) {
      const TensorKind kind = kind_of(static_cast<int64_t>(*undo));
      if (is_new(kind)) storages.erase(static_cast<uint32_t>(undo[1]));
      undo += 1 + words_after_header(kind, command.output(i).rank);
    }
    throw Error(error.code(), std::string(command.name()) + ": " + error.what());
  }
}

// The block behind a stored tensor.
struct Region {
  std::byte* data;
  size_t bytes;
};

// Reads the record up to its end into `command`, with every check. Answers where the outputs begin when any of them is fresh, else null.
// `region(tensor, slot, generation)` finds the memory of a stored tensor.
template <class FindRegion>
double* decode(WordReader& reader, Op op, Backend& backend, Command& command, FindRegion&& region) {
  const OpInfo& info = op_info(op);
  const Arity& arity = arity_of(op);
  const int inputs = static_cast<int>(reader.integer(kMaxTensors));
  const int outputs = static_cast<int>(reader.integer(kMaxTensors));
  const int attributes = static_cast<int>(reader.integer(kMaxAttributes));
  if ((inputs != arity.inputs && !arity.inputs_vary) || (outputs != arity.outputs && !arity.outputs_vary) ||
      (attributes != arity.attributes && !arity.attributes_vary) || attributes < arity.attributes - 1) {
    throw Error(ErrorCode::kInternal, std::string(info.name) + ": record does not fit the op: got " +
                                          std::to_string(inputs) + " inputs, " + std::to_string(outputs) +
                                          " outputs, " + std::to_string(attributes) + " attributes, expected " +
                                          std::to_string(arity.inputs) + ", " + std::to_string(arity.outputs) + ", " +
                                          std::to_string(arity.attributes));
  }
  if (!backend.supports(op)) {
    throw Error(ErrorCode::kDevice, std::string(info.name) + ": not implemented on this device");
  }

  command.op = op;
  command.input_count = inputs;
  command.output_count = outputs;
  command.attribute_count = attributes;
  command.reserve(inputs + outputs, attributes);

  bool any_fresh = false;
  double* outputs_at = nullptr;
  for (int i = 0; i < inputs + outputs; ++i) {
    if (i == inputs) outputs_at = reader.position();
    reader.require(1);
    const int64_t header = reader.integer(1 << 16);
    const TensorKind kind = kind_of(header);
    const int dtype = static_cast<int>((header >> 4) & 15);
    const int rank = static_cast<int>(header >> 8);
    if (dtype >= kDTypeCount) {
      throw Error(ErrorCode::kInternal, "record: no such dtype: got " + std::to_string(dtype));
    }
    if (rank > kMaxRank) {
      throw Error(ErrorCode::kShape, std::string(info.name) + ": too many axes: got " + std::to_string(rank) +
                                         ", expected at most " + std::to_string(kMaxRank));
    }
    TensorView& view = command.tensors[i];
    view.dtype = static_cast<DType>(dtype);
    view.rank = rank;
    reader.require(words_after_header(kind, rank));
    switch (kind) {
      case TensorKind::kStored:
      case TensorKind::kContiguous: {
        const auto slot = static_cast<uint32_t>(reader.integer(UINT32_MAX));
        const auto generation = static_cast<uint32_t>(reader.integer(UINT32_MAX));
        const Region memory = region(i, slot, generation);
        const int64_t offset = reader.integer(kMaxSize);
        for (int axis = 0; axis < rank; ++axis) view.shape[axis] = reader.integer(kMaxSize);
        if (kind == TensorKind::kContiguous) {
          set_contiguous(view);
        } else {
          for (int axis = 0; axis < rank; ++axis) view.strides[axis] = reader.integer(kMaxSize);
        }
        const size_t element = size_of(view.dtype);
        if (extent(view, offset) > static_cast<int64_t>(memory.bytes / element)) {
          throw Error(ErrorCode::kInternal, std::string(info.name) + ": a view reaches past its storage: got element " +
                                                std::to_string(extent(view, offset) - 1) + ", expected one below " +
                                                std::to_string(memory.bytes / element));
        }
        // An empty view may start anywhere; it must still not point outside.
        const bool inside = offset <= static_cast<int64_t>(memory.bytes / element);
        view.data = memory.data + (inside ? offset : 0) * static_cast<int64_t>(element);
        break;
      }
      case TensorKind::kFresh:
      case TensorKind::kArranged: {
        if (i < inputs) throw Error(ErrorCode::kInternal, "record: a fresh input");
        any_fresh = true;
        reader.skip(2);
        view.data = reinterpret_cast<std::byte*>(&view);  // present; the memory comes after the checks
        for (int axis = 0; axis < rank; ++axis) view.shape[axis] = reader.integer(kMaxSize);
        if (set_contiguous(view) > kMaxSize) {
          throw Error(ErrorCode::kOutOfMemory, std::string(info.name) + ": too many elements: got shape " +
                                                   shape_text(view) + ", expected at most 2^53 elements");
        }
        if (kind == TensorKind::kArranged) {
          for (int axis = 0; axis < rank; ++axis) view.strides[axis] = reader.integer(kMaxSize);
          if (extent(view, 0) > kMaxSize) throw Error(ErrorCode::kInternal, "record: strides too large");
        }
        break;
      }
      case TensorKind::kImmediate: {
        if (i >= inputs) throw Error(ErrorCode::kInternal, "record: an immediate output");
        const double value = reader.number();
        write_immediate(&command.immediates[i], view.dtype, value);
        view.data = reinterpret_cast<std::byte*>(&command.immediates[i]);
        for (int axis = 0; axis < rank; ++axis) {
          view.shape[axis] = reader.integer(kMaxSize);
          view.strides[axis] = 0;
        }
        break;
      }
      case TensorKind::kAbsent:
        if (i >= kMaxOptional || !arity.optional[i] || (i >= inputs && arity.inputs_vary)) {
          throw Error(ErrorCode::kInternal, "record: a missing tensor");
        }
        view.data = nullptr;
        break;
      default: throw Error(ErrorCode::kInternal, "record: no such kind of tensor");
    }
  }
  reader.require(attributes);
  for (int i = 0; i < attributes; ++i) command.attributes[i] = reader.number();
  info.check(command);

  return any_fresh ? outputs_at : nullptr;
}

Backend& backend_of(Environment& environment, WordReader& reader) {
  return environment.backend(static_cast<int>(reader.integer(1 << 10)));
}

// Begins a record.
Op op_of(WordReader& reader) {
  reader.require(kHeaderWords);
  return static_cast<Op>(reader.integer(op_count() - 1));
}

// Where the attributes (seedLow, seedHigh, offset) of an op begin; -1 when it draws no random numbers. One that may draw some has a negative
// offset when it does not.
int random_attributes(const OpInfo& info) {
  const std::string_view names = info.attributes;
  const size_t at = names.find("seedLow");
  return at == std::string_view::npos ? -1 : static_cast<int>(std::count(names.begin(), names.begin() + at, ','));
}

}  // namespace

double* decode_and_submit(Environment& environment) {
  WordReader reader(environment.words(), environment.word_count());
  const Op op = op_of(reader);
  Backend& backend = backend_of(environment, reader);
  Command& command = backend.next_command();
  double* const fresh_outputs = decode(reader, op, backend, command, [&](int, uint32_t slot, uint32_t generation) {
    const Storage* storage = environment.storages().find(slot, generation);
    if (storage == nullptr) {
      throw Error(ErrorCode::kDisposed, std::string(command.name()) + ": a tensor was released");
    }
    if (storage->backend != &backend) {
      throw Error(ErrorCode::kDevice, std::string(command.name()) + ": tensors on different devices");
    }
    return Region{storage->block.data, storage->bytes};
  });
  if (fresh_outputs != nullptr) allocate_outputs(environment, backend, command, fresh_outputs);
  backend.commit();
  return fresh_outputs;
}

std::shared_ptr<Program> decode_program(Environment& environment, std::span<double> records,
                                        std::span<const double> binding_bytes, std::span<const Place> places,
                                        std::span<const uint32_t> live_records) {
  auto program = std::make_shared<Program>();
  for (const double bytes : binding_bytes) program->binding_bytes.push_back(static_cast<size_t>(bytes));
  const size_t arena = binding_bytes.size();
  size_t arena_bytes = 0;
  for (const Place& place : places)
    arena_bytes = std::max(arena_bytes, static_cast<size_t>(place.offset + place.bytes));
  program->binding_bytes.push_back(arena_bytes);
  // No binding has an address yet: each gets one far from all others, that is only compared with.
  const auto base = [](size_t binding) { return reinterpret_cast<std::byte*>((uintptr_t{binding} + 1) << 44); };
  WordReader reader(records.data(), records.size());
  Command command;
  std::vector<size_t> bindings;
  std::vector<size_t> temporaries;
  std::vector<uint64_t*> addresses;
  FusionFinder fusion;
  for (uint32_t record = 0; !reader.at_end(); ++record) {
    const Op op = op_of(reader);
    Backend& backend = backend_of(environment, reader);
    bindings.clear();
    temporaries.clear();
    const double* const fresh = decode(reader, op, backend, command, [&](int tensor, uint32_t number, uint32_t) {
      bindings.resize(static_cast<size_t>(tensor) + 1);
      bindings.back() = std::min<size_t>(number, arena);
      if (number < arena) return Region{base(number), program->binding_bytes[number]};
      if (number - arena >= places.size()) throw Error(ErrorCode::kInternal, "program: no such place");
      temporaries.resize(static_cast<size_t>(tensor) + 1, FusionFinder::kNone);
      temporaries.back() = number - arena;
      const Place& place = places[number - arena];
      return Region{base(arena) + static_cast<int64_t>(place.offset), static_cast<size_t>(place.bytes)};
    });
    if (fresh != nullptr) throw Error(ErrorCode::kInternal, "program: a fresh output");

    const size_t start = program->words.size();
    program->words.resize(start + words_of(command));
    addresses.assign(static_cast<size_t>(command.input_count + command.output_count), nullptr);
    const uint64_t* const end = write_command(command, &program->words[start], &addresses);
    program->words.resize(static_cast<size_t>(end - program->words.data()));
    for (size_t i = 0; i < addresses.size(); ++i) {
      if (addresses[i] == nullptr) continue;
      program->addresses.push_back({static_cast<size_t>(addresses[i] - program->words.data()), bindings[i],
                                    command.tensors[i].data - base(bindings[i])});
    }
    temporaries.resize(addresses.size(), FusionFinder::kNone);
    fusion.add(command, start, temporaries);
    const size_t attributes = program->words.size() - static_cast<size_t>(command.attribute_count);
    if (const int random = random_attributes(op_info(op)); random >= 0 && command.attributes[random + 2] >= 0) {
      program->random_streams.push_back(attributes + static_cast<size_t>(random));
      program->random_offsets.push_back(command.attributes[random + 2]);
    }
    if (std::find(live_records.begin(), live_records.end(), record) != live_records.end()) {
      for (size_t word = attributes; word < program->words.size(); ++word) program->live_attributes.push_back(word);
    }
  }
  program->groups = fusion.groups();
  return program;
}

}  // namespace hadal
