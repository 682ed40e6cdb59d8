// How plain structs become msgpack and back, once for all of schemas/. A struct lists its fields in one function,
//   template <class Archive> void Describe(Archive& archive, Exec& exec) { archive("ref", exec.ref)("id", exec.id)…; }
// and is written as a map (names) or as an array (order). Readers ignore what they do not know, refuse wrong types and
// sizes by the field's name, and never trust a declared size. No exception leaves this file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <msgpack.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "schemas/limits.h"
#include "schemas/msgpack_shape.h"

namespace hearth::codec {

// Elements of one array or map within a frame; what is declared above it is refused before anything is allocated.
constexpr std::size_t kMaxElements = 200'000;

// An enumeration that travels says how many values it has: constexpr std::uint8_t EnumSize(E) next to Describe.
template <class T>
concept Enumeration = std::is_enum_v<T>;

struct Sink {
  std::string* out;
  void write(const char* bytes, std::size_t count) { out->append(bytes, count); }
};

enum class Layout { kMap, kArray };

template <class T>
struct IsId : std::false_type {};
template <class Tag>
struct IsId<Id<Tag>> : std::true_type {};

template <Layout kLayout>
class Writer {
 public:
  explicit Writer(std::string& out) : sink_{&out}, packer_(sink_) {}

  template <class T>
  void Struct(const T& value) {
    Counter counter;
    Describe(counter, const_cast<T&>(value));  // Describe serves both directions; the counter touches nothing
    if constexpr (kLayout == Layout::kMap) {
      packer_.pack_map(counter.count);
    } else {
      packer_.pack_array(counter.count);
    }
    Describe(*this, const_cast<T&>(value));
  }

  template <class T>
  Writer& operator()(std::string_view name, const T& value) {
    if constexpr (kLayout == Layout::kMap) Text(name);
    Value(value);
    return *this;
  }
  // A field that came later: readers take its default where an older writer left it out.
  template <class T>
  Writer& Optional(std::string_view name, const T& value) {
    return (*this)(name, value);
  }
  // Bytes that are not text.
  Writer& Bytes(std::string_view name, const std::string& value, std::size_t /*most*/) {
    if constexpr (kLayout == Layout::kMap) Text(name);
    packer_.pack_bin(static_cast<std::uint32_t>(value.size()));
    packer_.pack_bin_body(value.data(), static_cast<std::uint32_t>(value.size()));
    return *this;
  }

 private:
  struct Counter {
    std::uint32_t count = 0;
    template <class T>
    Counter& operator()(std::string_view, const T&) {
      ++count;
      return *this;
    }
    template <class T>
    Counter& Optional(std::string_view, const T&) {
      ++count;
      return *this;
    }
    Counter& Bytes(std::string_view, const std::string&, std::size_t) {
      ++count;
      return *this;
    }
  };

  void Text(std::string_view text) {
    packer_.pack_str(static_cast<std::uint32_t>(text.size()));
    packer_.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
  }
  template <class T>
  void Value(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value ? packer_.pack_true() : packer_.pack_false();
    } else if constexpr (std::is_integral_v<T>) {
      packer_.pack(value);
    } else if constexpr (Enumeration<T>) {
      packer_.pack(static_cast<std::uint8_t>(value));
    } else if constexpr (std::is_same_v<T, std::string>) {
      Text(value);
    } else if constexpr (IsId<T>::value) {
      Text(value.value);
    } else {
      Struct(value);
    }
  }
  template <class T>
  void Value(const std::vector<T>& values) {
    packer_.pack_array(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) Value(value);
  }
  void Value(const std::map<std::string, std::string>& values) {
    packer_.pack_map(static_cast<std::uint32_t>(values.size()));
    for (const auto& [name, value] : values) {
      Text(name);
      Text(value);
    }
  }

  Sink sink_;
  msgpack::packer<Sink> packer_;
};

template <Layout kLayout>
class Reader {
 public:
  template <class T>
  void Struct(const msgpack::object& object, T& value) {
    const auto* outer = here_;
    const auto outer_index = index_;
    if (object.type != (kLayout == Layout::kMap ? msgpack::type::MAP : msgpack::type::ARRAY)) {
      Fault(kLayout == Layout::kMap ? "a map" : "an array");
    } else if (kLayout == Layout::kMap && object.via.map.size > kMaxMapKeys) {  // each field looks through all of them
      exhausted_ = true;
      if (fault_.empty()) fault_ = "more than " + std::to_string(kMaxMapKeys) + " fields";
    } else {
      here_ = &object;
      index_ = 0;
      Describe(*this, value);
    }
    here_ = outer;
    index_ = outer_index;
  }

  template <class T>
  Reader& operator()(std::string_view name, T& value) {
    if (const auto* object = Find(name)) Value(*object, value, kMaxStringBytes);
    return *this;
  }
  // In an array only at the end: what follows an absent field is absent too.
  template <class T>
  Reader& Optional(std::string_view name, T& value) {
    if constexpr (kLayout == Layout::kArray) {
      if (fault_.empty() && index_ >= here_->via.array.size) return *this;
    }
    return (*this)(name, value);
  }
  Reader& Bytes(std::string_view name, std::string& value, std::size_t most) {
    if (const auto* object = Find(name)) Value(*object, value, most);
    return *this;
  }
  [[nodiscard]] const std::string& fault() const { return fault_; }
  // The fault as an error: kExhausted where a limit was passed, else kInvalid.
  [[nodiscard]] std::unexpected<Error> Failure() const {
    return Fail(exhausted_ ? Code::kExhausted : Code::kInvalid, fault_);
  }

 private:
  const msgpack::object* Find(std::string_view name) {
    if (!fault_.empty()) return nullptr;
    name_ = name;
    if constexpr (kLayout == Layout::kArray) {
      if (index_ < here_->via.array.size) return here_->via.array.ptr + index_++;
      fault_ = "field '" + std::string(name) + "' is absent";
      return nullptr;
    } else {
      // Of equal keys the last one counts, and nil is absent: the default stands, validation decides.
      for (std::uint32_t i = here_->via.map.size; i > 0; --i) {
        const auto& pair = here_->via.map.ptr[i - 1];
        if (pair.key.type == msgpack::type::STR &&
            name == std::string_view(pair.key.via.str.ptr, pair.key.via.str.size))
          return pair.val.type == msgpack::type::NIL ? nullptr : &pair.val;
      }
      return nullptr;
    }
  }
  void Fault(std::string_view expected) {
    if (fault_.empty()) fault_ = "field '" + name_ + "' must be " + std::string(expected);
  }
  void TooLong(std::size_t size, std::size_t most) {
    if (!fault_.empty()) return;
    exhausted_ = true;
    fault_ = "field '" + name_ + "' has " + std::to_string(size) + " bytes; the limit is " + std::to_string(most);
  }

  template <class T>
  void Value(const msgpack::object& object, T& value, std::size_t most) {
    if constexpr (std::is_same_v<T, bool>) {
      if (object.type != msgpack::type::BOOLEAN) return Fault("true or false");
      value = object.via.boolean;
    } else if constexpr (std::is_integral_v<T>) {
      if (object.type == msgpack::type::POSITIVE_INTEGER &&
          object.via.u64 <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
        value = static_cast<T>(object.via.u64);
      } else if (std::is_signed_v<T> && object.type == msgpack::type::NEGATIVE_INTEGER &&
                 object.via.i64 >= static_cast<std::int64_t>(std::numeric_limits<T>::min())) {
        value = static_cast<T>(object.via.i64);
      } else {
        Fault("an integer in range");
      }
    } else if constexpr (Enumeration<T>) {
      if (object.type != msgpack::type::POSITIVE_INTEGER || object.via.u64 >= EnumSize(T{}))
        return Fault("a known value");
      value = static_cast<T>(object.via.u64);
    } else if constexpr (std::is_same_v<T, std::string>) {
      const bool text = object.type == msgpack::type::STR;
      if (!text && object.type != msgpack::type::BIN) return Fault("text or bytes");
      const std::string_view bytes = text ? std::string_view(object.via.str.ptr, object.via.str.size)
                                          : std::string_view(object.via.bin.ptr, object.via.bin.size);
      if (bytes.size() > most) return TooLong(bytes.size(), most);
      value.assign(bytes);
    } else if constexpr (IsId<T>::value) {
      Value(object, value.value, most);
    } else {
      Struct(object, value);
    }
  }
  template <class T>
  void Value(const msgpack::object& object, std::vector<T>& values, std::size_t most) {
    if (object.type != msgpack::type::ARRAY) return Fault("an array");
    values.clear();
    values.reserve(object.via.array.size);  // bounded by what was received: every element takes a byte
    for (std::uint32_t i = 0; i < object.via.array.size && fault_.empty(); ++i) {
      Value(object.via.array.ptr[i], values.emplace_back(), most);
    }
  }
  void Value(const msgpack::object& object, std::map<std::string, std::string>& values, std::size_t most) {
    if (object.type != msgpack::type::MAP) return Fault("a map");
    values.clear();
    for (std::uint32_t i = 0; i < object.via.map.size && fault_.empty(); ++i) {
      std::string name;
      std::string value;
      Value(object.via.map.ptr[i].key, name, most);
      Value(object.via.map.ptr[i].val, value, most);
      if (!values.try_emplace(name, std::move(value)).second && fault_.empty()) {
        fault_ = "field '" + name_ + "' holds '" + name + "' twice";
      }
    }
  }

  const msgpack::object* here_ = nullptr;
  std::uint32_t index_ = 0;
  std::string name_;
  std::string fault_;
  bool exhausted_ = false;
};

// Parses `bytes`, which must outlive the handle, with every limit on.
inline Result<msgpack::object_handle> Parse(std::string_view bytes) {
  if (auto shape = CheckShape(bytes); !shape) return std::unexpected(shape.error());
  const std::size_t most = bytes.size();  // no text is longer and no array has more elements than there are bytes
  try {
    std::size_t offset = 0;
    bool referenced = false;
    auto handle = msgpack::unpack(
        bytes.data(), bytes.size(), offset, referenced,
        [](msgpack::type::object_type, std::size_t, void*) { return true; }, nullptr,
        msgpack::unpack_limit(std::min(most, kMaxElements), std::min(most, kMaxElements), most, most, 0,
                              kMaxMsgpackDepth));
    if (offset != bytes.size()) return Fail(Code::kInvalid, "msgpack: bytes are left over");
    return handle;
  } catch (const msgpack::size_overflow& error) {
    return Fail(Code::kExhausted, std::string("msgpack: ") + error.what());
  } catch (const std::exception& error) {
    return Fail(Code::kInvalid, std::string("msgpack: ") + error.what());
  }
}

template <Layout kLayout, class T>
void Encode(std::string& out, const T& value) {
  Writer<kLayout> writer(out);
  writer.Struct(value);
}

template <Layout kLayout, class T>
Result<T> Decode(std::string_view bytes) {
  auto handle = Parse(bytes);
  if (!handle) return std::unexpected(handle.error());
  T value;
  Reader<kLayout> reader;
  reader.Struct(handle->get(), value);
  if (!reader.fault().empty()) return reader.Failure();
  return value;
}

}  // namespace hearth::codec
