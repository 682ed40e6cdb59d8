// How an invocation got its place, as one line that travels with it: words "key=value", separated by spaces, values of
// [A-Za-z0-9._:/-]. The dispatcher writes its part into Exec, the executor adds its own, the reply carries both.
// Bounded: a word that does not fit is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth {

constexpr std::size_t kMaxWhyBytes = 512;
constexpr std::size_t kMaxWhyOfDispatcherBytes = 320;  // leaves room for the executor's words

// Appends "key=value" while the line stays within `most`. Other characters of `value` become '_'; an empty value adds
// nothing.
void AddWhy(std::string& why, std::string_view key, std::string_view value, std::size_t most = kMaxWhyBytes);
void AddWhy(std::string& why, std::string_view key, std::int64_t value, std::size_t most = kMaxWhyBytes);

// What a peer sent, cut to the limit at a whole word.
std::string_view CutWhy(std::string_view why, std::size_t most = kMaxWhyBytes);

// The words in order; what is not "key=value" is left out.
std::vector<std::pair<std::string, std::string>> ParseWhy(std::string_view why);

}  // namespace hearth
