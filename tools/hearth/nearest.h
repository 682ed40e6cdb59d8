// The word that somebody may have meant. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth::tool {

// How many letters have to be changed, added, left out, or swapped with their neighbour.
std::size_t EditDistance(std::string_view a, std::string_view b);
// The nearest of the known words, the first of equals; empty where none is near enough to be meant.
std::string Nearest(std::string_view word, const std::vector<std::string>& known);
// "; did you mean X?", or nothing.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& known);

}  // namespace hearth::tool
