#include "common/config/reader.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <expected>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

namespace hearth {

struct ConfigReader::State {
  std::string name;
  toml::table root;
  std::set<const toml::node*> known;
  std::vector<std::string> faults;
  Environment environment;
  std::shared_ptr<ConfigReference> reference{};  // where keys are noted, if anywhere

  void Fault(const toml::source_region& where, std::string_view what) {
    faults.push_back(fmt::format("{}:{}: {}", name, where.begin.line, what));
  }
  // The text of a string with its variables; nothing, and a fault, where there is none. `expected` is said of a node
  // that is no string.
  std::optional<Expanded> Expand(const toml::node& node, std::string_view key, std::string_view expected) {
    const auto* text = node.as_string();
    Result<Expanded> expanded =
        text == nullptr ? Fail(Code::kInvalid, std::string(expected)) : ExpandVariables(text->get(), environment);
    if (expanded) return *std::move(expanded);
    Fault(node.source(), fmt::format("'{}' {}", key, expanded.error().message));
    return std::nullopt;
  }
  void ReportUnknown(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const std::string full = prefix + std::string(key.str());
      if (known.contains(&node)) continue;
      if (const auto* inner = node.as_table()) {
        ReportUnknown(*inner, full + ".");
        if (inner->empty()) Fault(key.source(), fmt::format("unknown table [{}]", full));
      } else {
        Fault(key.source(), fmt::format("unknown key '{}'", full));
      }
    }
  }
};

struct ConfigReader::View {
  toml::table* table = nullptr;
  std::string prefix;
};

ConfigReader::ConfigReader(std::shared_ptr<State> state, std::shared_ptr<View> view)
    : state_(std::move(state)), view_(std::move(view)) {}
ConfigReader::ConfigReader(ConfigReader&&) noexcept = default;
ConfigReader& ConfigReader::operator=(ConfigReader&&) noexcept = default;
ConfigReader::~ConfigReader() = default;

namespace {

Result<toml::table> Unwrap(toml::parse_result&& parsed, const std::string& name) {
  if (parsed) return std::move(parsed).table();
  const auto& error = parsed.error();
  return Fail(Code::kInvalid, fmt::format("{}:{}: {}", name, error.source().begin.line, error.description()));
}

// toml++ 3.3 ends the process on some text beyond ASCII, also behind what only looks like the start of a string. So it
// is never shown any: comments lose theirs, and elsewhere it is refused. Returns what toml++ may see, or the faulty
// line.
std::expected<std::string, int> KeepAscii(std::string_view text) {
  std::string kept(text);
  int line = 1;
  std::string_view until;  // what ends the string or comment we are in; empty: in neither
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char byte = text[at];
    if (std::iscntrl(static_cast<unsigned char>(byte)) != 0 && byte != '\n' && byte != '\r' && byte != '\t') {
      return std::unexpected(line);
    }
    if ((static_cast<unsigned char>(byte) & 0x80U) != 0) {
      if (until != "\n") return std::unexpected(line);
      kept[at] = '?';
    } else if (byte == '\n') {
      ++line;
      if (until.size() == 1) until = {};
    } else if (until.empty()) {
      const auto three = text.substr(at, 3);
      if (three == "\"\"\"" || three == "'''") {
        until = three;
        at += 2;
      } else if (byte == '"' || byte == '\'') {
        until = text.substr(at, 1);
      } else if (byte == '#') {
        until = "\n";
      }
    } else if (byte == '\\' && until.front() == '"') {
      if (at + 1 < text.size() && text[at + 1] != '\n') ++at;
    } else if (text.substr(at).starts_with(until)) {
      at += until.size() - 1;
      until = {};
    }
  }
  return kept;
}

}  // namespace

Result<ConfigReader> ConfigReader::FromFile(const std::string& path, Environment environment) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, fmt::format("{}: {}", path, std::generic_category().message(errno)));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return Fail(Code::kInvalid, fmt::format("{}: cannot be read", path));
  return FromText(text.view(), path, std::move(environment));
}

Result<ConfigReader> ConfigReader::FromText(std::string_view text, const std::string& name, Environment environment) {
  const auto kept = KeepAscii(text);
  if (!kept) {
    return Fail(Code::kInvalid, fmt::format("{}:{}: control characters are not allowed, and text beyond ASCII only in "
                                            "comments (in a string, write it as \\uXXXX)",
                                            name, kept.error()));
  }
  auto table = Unwrap(toml::parse(*kept), name);
  if (!table) return std::unexpected(table.error());
  auto state = std::make_shared<State>(State{name, std::move(*table), {}, {}, std::move(environment)});
  auto view = std::make_shared<View>(View{&state->root, ""});
  return ConfigReader(std::move(state), std::move(view));
}

ConfigReader ConfigReader::ForReference(std::shared_ptr<ConfigReference> reference) {
  auto state = std::make_shared<State>(State{"", {}, {}, {}, {}, std::move(reference)});
  auto view = std::make_shared<View>(View{&state->root, ""});
  return ConfigReader(std::move(state), std::move(view));
}

void ConfigReader::Note(std::string_view key, std::string type, std::string fallback, std::string range,
                        std::string_view about) {
  if (state_->reference == nullptr) return;
  const auto dot = key.rfind('.');
  std::string table(view_->prefix.empty() ? key.substr(0, dot == std::string_view::npos ? 0 : dot) : view_->prefix);
  if (!view_->prefix.empty()) table = "[" + table.substr(0, table.size() - 1) + "]";
  state_->reference->keys.push_back({std::move(table), std::string(key.substr(dot + 1)), std::move(type),
                                     std::move(fallback), std::move(range), std::string(about)});
}

namespace {

constexpr std::string_view kRequired = "**required**";

toml::node* Find(toml::table& table, std::string_view dotted) {
  return table.at_path(dotted).node();
}

// As the reference shows a default.
std::string Shown(std::string_view text) {
  return text.empty() ? "none" : fmt::format("`{}`", text);
}

template <class Words>
std::string Listed(const Words& words) {
  std::string text;
  for (const auto& word : words) text += fmt::format("{}`{}`", text.empty() ? "" : ", ", word);
  return text;
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string ConfigReader::String(std::string_view key, std::string_view fallback, std::string_view about) {
  Note(key, "text", Shown(fallback), "", about);
  return TextOr(key, fallback);
}

std::string ConfigReader::TextOr(std::string_view key, std::string_view fallback) {
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return std::string(fallback);
  state_->known.insert(node);
  auto text = state_->Expand(*node, FullKey(key), "must be a string");
  return text ? std::move(text->text) : std::string(fallback);
}

std::string ConfigReader::RequiredString(std::string_view key, std::string_view about) {
  Note(key, "text", std::string(kRequired), "", about);
  auto* node = Find(*view_->table, key);
  if (node == nullptr) {
    state_->Fault(view_->table->source(), fmt::format("'{}' is required", FullKey(key)));
    return {};
  }
  state_->known.insert(node);
  auto text = state_->Expand(*node, FullKey(key), "must be a string");
  if (text && text->text.empty()) state_->Fault(node->source(), fmt::format("'{}' must not be empty", FullKey(key)));
  return text ? std::move(text->text) : std::string();
}

std::string ConfigReader::Word(std::string_view key, std::string_view fallback,
                               std::initializer_list<std::string_view> words, std::string_view about) {
  Note(key, "word", Shown(fallback), Listed(words), about);
  std::string word = TextOr(key, fallback);
  if (word == fallback || std::ranges::find(words, word) != words.end()) return word;
  Reject(key, fmt::format("must be one of {}", fmt::join(words, ", ")));
  return std::string(fallback);
}

std::int64_t ConfigReader::Integer(std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most,
                                   std::string_view about) {
  const bool has_default = fallback >= least && fallback <= most;
  Note(key, "integer", has_default ? fmt::format("{}", fallback) : "none", fmt::format("{} to {}", least, most), about);
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return fallback;
  state_->known.insert(node);
  std::optional<std::int64_t> number;
  if (const auto* plain = node->as_integer()) {
    number = plain->get();
  } else if (const auto text = state_->Expand(*node, FullKey(key), "must be an integer")) {
    if (text->has_variables) number = ParseInteger(text->text);
    if (!number) state_->Fault(node->source(), fmt::format("'{}' must be an integer", FullKey(key)));
  }
  if (!number) return fallback;
  if (*number >= least && *number <= most) return *number;
  state_->Fault(node->source(), fmt::format("'{}' must be from {} to {}", FullKey(key), least, most));
  return fallback;
}

bool ConfigReader::Boolean(std::string_view key, bool fallback, std::string_view about) {
  Note(key, "boolean", fallback ? "`true`" : "`false`", "", about);
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return fallback;
  state_->known.insert(node);
  if (const auto* flag = node->as_boolean()) return flag->get();
  const auto text = state_->Expand(*node, FullKey(key), "must be true or false");
  if (!text) return fallback;
  if (text->has_variables && (text->text == "true" || text->text == "false")) return text->text == "true";
  state_->Fault(node->source(), fmt::format("'{}' must be true or false", FullKey(key)));
  return fallback;
}

std::vector<std::string> ConfigReader::Strings(std::string_view key, std::vector<std::string> fallback,
                                               std::string_view about) {
  Note(key, "texts", fallback.empty() ? "none" : Listed(fallback), "", about);
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return fallback;
  state_->known.insert(node);
  const auto* array = node->as_array();
  if (array == nullptr) {
    state_->Fault(node->source(), fmt::format("'{}' must be an array of strings", FullKey(key)));
    return fallback;
  }
  std::vector<std::string> texts;
  for (const auto& element : *array) {
    auto text = state_->Expand(element, FullKey(key), "must be an array of strings");
    if (!text) return fallback;
    texts.push_back(std::move(text->text));
  }
  return texts;
}

std::vector<ConfigReader> ConfigReader::Tables(std::string_view key, std::string_view about) {
  std::vector<ConfigReader> readers;
  if (state_->reference != nullptr) {
    Note(fmt::format("[[{}]]", key), "tables", "none", "", about);
    readers.push_back(
        ConfigReader(state_, std::make_shared<View>(View{&state_->root, fmt::format("{}{}.", view_->prefix, key)})));
    return readers;
  }
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return readers;
  state_->known.insert(node);
  auto* array = node->as_array();
  if (array == nullptr || (!array->empty() && !array->is_array_of_tables())) {
    state_->Fault(node->source(), fmt::format("'{0}' must be written as [[{0}]] tables", FullKey(key)));
    return readers;
  }
  for (auto& element : *array) {
    auto view = std::make_shared<View>(View{element.as_table(), fmt::format("{}{}.", view_->prefix, key)});
    readers.push_back(ConfigReader(state_, std::move(view)));
  }
  return readers;
}

std::string ConfigReader::FullKey(std::string_view key) const {
  return fmt::format("{}{}", view_->prefix, key);
}

void ConfigReader::Reject(std::string_view key, std::string_view why) {
  const auto* node = Find(*view_->table, key);
  state_->Fault(node != nullptr ? node->source() : view_->table->source(), fmt::format("'{}' {}", FullKey(key), why));
}

Result<void> ConfigReader::Finish() {
  state_->ReportUnknown(state_->root, "");
  for (const auto& [key, node] : state_->root) {  // keys inside arrays of tables
    const auto* array = node.as_array();
    if (array == nullptr) continue;
    for (const auto& element : *array) {
      if (const auto* table = element.as_table()) state_->ReportUnknown(*table, std::string(key.str()) + ".");
    }
  }
  if (state_->faults.empty()) return {};
  return Fail(Code::kInvalid, fmt::format("{}", fmt::join(state_->faults, "\n")));
}

}  // namespace hearth
