// How plain structs become msgpack and back, once for all of schemas/. A struct lists its fields in one function,
//   template <class Archive> void Describe(Archive& archive, Exec& exec) { archive("ref", exec.ref)("id", exec.id)…; }
// and is written as a map (names) or as an array (order). Readers ignore what they do not know, refuse wrong types and
// sizes by the field's name, and never trust a declared size. A std::optional without a value is nil. No exception
// leaves this file.
#pragma once

#include <array>
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
#include "schemas/msgpack_cursor.h"
#include "schemas/msgpack_shape.h"

namespace hearth::codec {

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
  template <class T>
  void Value(const std::optional<T>& value) {
    if (!value) {
      packer_.pack_nil();
    } else {
      Value(*value);
    }
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
  // `at`: a value in bytes that CheckShape has passed.
  template <class T>
  void Struct(const char* at, T& value) {
    const Item item = ReadItem(at);
    const Fields outer = fields_;
    std::array<Field, kLayout == Layout::kMap ? kMaxMapKeys : 1> fields;  // not zeroed: only what is there is looked at
    if (item.kind != (kLayout == Layout::kMap ? Item::Kind::kMap : Item::Kind::kArray)) {
      return Fault(kLayout == Layout::kMap ? "a map" : "an array");
    }
    if (kLayout == Layout::kMap && item.number > kMaxMapKeys) {  // each field looks through all of them
      exhausted_ = true;
      if (fault_.empty()) fault_ = "more than " + std::to_string(kMaxMapKeys) + " fields";
      return;
    }
    fields_ = {item.next, item.number, fields.data()};
    if constexpr (kLayout == Layout::kMap) ReadKeys(fields.data());
    Describe(*this, value);
    fields_ = outer;
  }

  template <class T>
  Reader& operator()(std::string_view name, T& value) {
    if (const char* at = Find(name)) Value(at, value, kMaxStringBytes);
    return *this;
  }
  // In an array only at the end: what follows an absent field is absent too.
  template <class T>
  Reader& Optional(std::string_view name, T& value) {
    if constexpr (kLayout == Layout::kArray) {
      if (fault_.empty() && fields_.left == 0) return *this;
    }
    return (*this)(name, value);
  }
  Reader& Bytes(std::string_view name, std::string& value, std::size_t most) {
    if (const char* at = Find(name)) Value(at, value, most);
    return *this;
  }
  [[nodiscard]] const std::string& fault() const { return fault_; }
  // The fault as an error: kExhausted where a limit was passed, else kInvalid.
  [[nodiscard]] std::unexpected<Error> Failure() const {
    return Fail(exhausted_ ? Code::kExhausted : Code::kInvalid, fault_);
  }

 private:
  struct Field {
    const char* name;
    std::size_t name_bytes;
    const char* at;  // its value
  };
  // Of the struct that is being read.
  struct Fields {
    const char* next = nullptr;  // array: the next element
    std::uint64_t left = 0;      // array: so many; map: how many there are in `of`
    const Field* of = nullptr;   // map
  };

  // Keys that are no text name nothing.
  void ReadKeys(Field* fields) {
    std::uint64_t count = 0;
    const char* at = fields_.next;
    for (std::uint64_t i = 0; i < fields_.left; ++i) {
      const Item key = ReadItem(at);
      const char* value = SkipItem(at);
      if (key.kind == Item::Kind::kText) fields[count++] = {key.text.data(), key.text.size(), value};
      at = SkipItem(value);
    }
    fields_.left = count;
  }
  const char* Find(std::string_view name) {
    if (!fault_.empty()) return nullptr;
    name_ = name;
    if constexpr (kLayout == Layout::kArray) {
      if (fields_.left > 0) {
        const char* at = fields_.next;
        --fields_.left;
        fields_.next = SkipItem(at);
        return at;
      }
      fault_ = "field '" + std::string(name) + "' is absent";
      return nullptr;
    } else {
      // Of equal keys the last one counts, and nil is absent: the default stands, validation decides.
      for (std::uint64_t i = fields_.left; i > 0; --i) {
        const Field& field = fields_.of[i - 1];
        if (name == std::string_view(field.name, field.name_bytes))
          return ReadItem(field.at).kind == Item::Kind::kNil ? nullptr : field.at;
      }
      return nullptr;
    }
  }
  void Fault(std::string_view expected) {
    if (fault_.empty()) fault_ = "field '" + std::string(name_) + "' must be " + std::string(expected);
  }
  void TooLong(std::size_t size, std::size_t most) {
    if (!fault_.empty()) return;
    exhausted_ = true;
    fault_ = "field '" + std::string(name_) + "' has " + std::to_string(size) + " bytes; the limit is " +
             std::to_string(most);
  }

  template <class T>
  void Value(const char* at, T& value, std::size_t most) {
    if constexpr (std::is_same_v<T, bool>) {
      const Item item = ReadItem(at);
      if (item.kind != Item::Kind::kBool) return Fault("true or false");
      value = item.number != 0;
    } else if constexpr (std::is_integral_v<T>) {
      const Item item = ReadItem(at);
      const auto negative = static_cast<std::int64_t>(item.number);
      if (item.kind == Item::Kind::kUnsigned &&
          item.number <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
        value = static_cast<T>(item.number);
      } else if (std::is_signed_v<T> && item.kind == Item::Kind::kNegative &&
                 negative >= static_cast<std::int64_t>(std::numeric_limits<T>::min())) {
        value = static_cast<T>(negative);
      } else {
        Fault("an integer in range");
      }
    } else if constexpr (Enumeration<T>) {
      const Item item = ReadItem(at);
      if (item.kind != Item::Kind::kUnsigned || item.number >= EnumSize(T{})) return Fault("a known value");
      value = static_cast<T>(item.number);
    } else if constexpr (std::is_same_v<T, std::string>) {
      const Item item = ReadItem(at);
      if (item.kind != Item::Kind::kText && item.kind != Item::Kind::kBytes) return Fault("text or bytes");
      if (item.text.size() > most) return TooLong(item.text.size(), most);
      value.assign(item.text);
    } else if constexpr (IsId<T>::value) {
      Value(at, value.value, most);
    } else {
      Struct(at, value);
    }
  }
  template <class T>
  void Value(const char* at, std::vector<T>& values, std::size_t most) {
    const Item item = ReadItem(at);
    if (item.kind != Item::Kind::kArray) return Fault("an array");
    values.clear();
    values.reserve(item.number);  // bounded by what was received: every element takes a byte
    at = item.next;
    for (std::uint64_t i = 0; i < item.number && fault_.empty(); ++i) {
      Value(at, values.emplace_back(), most);
      at = SkipItem(at);
    }
  }
  template <class T>
  void Value(const char* at, std::optional<T>& value, std::size_t most) {
    if (ReadItem(at).kind == Item::Kind::kNil) return value.reset();
    Value(at, value.emplace(), most);
  }
  void Value(const char* at, std::map<std::string, std::string>& values, std::size_t most) {
    const Item item = ReadItem(at);
    if (item.kind != Item::Kind::kMap) return Fault("a map");
    values.clear();
    at = item.next;
    for (std::uint64_t i = 0; i < item.number && fault_.empty(); ++i) {
      std::string name;
      std::string value;
      Value(at, name, most);
      at = SkipItem(at);
      Value(at, value, most);
      at = SkipItem(at);
      if (!values.try_emplace(name, std::move(value)).second && fault_.empty()) {
        fault_ = "field '" + std::string(name_) + "' holds '" + name + "' twice";
      }
    }
  }

  Fields fields_;
  std::string_view name_;  // of the field that is being read
  std::string fault_;
  bool exhausted_ = false;
};

template <Layout kLayout, class T>
void Encode(std::string& out, const T& value) {
  Writer<kLayout> writer(out);
  writer.Struct(value);
}

// With every limit on. `value` is what the fields that are absent leave as it was.
template <Layout kLayout, class T>
Result<void> DecodeInto(std::string_view bytes, T& value) {
  if (auto shape = CheckShape(bytes); !shape) return shape;
  Reader<kLayout> reader;
  reader.Struct(bytes.data(), value);
  if (!reader.fault().empty()) return reader.Failure();
  return {};
}

template <Layout kLayout, class T>
Result<T> Decode(std::string_view bytes) {
  T value;
  if (auto decoded = DecodeInto<kLayout>(bytes, value); !decoded) return std::unexpected(decoded.error());
  return value;
}

}  // namespace hearth::codec
