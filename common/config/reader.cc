#include "common/config/reader.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <cctype>
#include <cerrno>
#include <expected>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

namespace hearth {

struct ConfigReader::State {
  std::string name;
  toml::table root;
  std::set<const toml::node*> known;
  std::vector<std::string> faults;

  void Fault(const toml::source_region& where, std::string_view what) {
    faults.push_back(fmt::format("{}:{}: {}", name, where.begin.line, what));
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

Result<ConfigReader> ConfigReader::FromFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, fmt::format("{}: {}", path, std::generic_category().message(errno)));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return Fail(Code::kInvalid, fmt::format("{}: cannot be read", path));
  return FromText(text.view(), path);
}

Result<ConfigReader> ConfigReader::FromText(std::string_view text, const std::string& name) {
  const auto kept = KeepAscii(text);
  if (!kept) {
    return Fail(Code::kInvalid, fmt::format("{}:{}: control characters are not allowed, and text beyond ASCII only in "
                                            "comments (in a string, write it as \\uXXXX)",
                                            name, kept.error()));
  }
  auto table = Unwrap(toml::parse(*kept), name);
  if (!table) return std::unexpected(table.error());
  auto state = std::make_shared<State>(State{name, std::move(*table), {}, {}});
  auto view = std::make_shared<View>(View{&state->root, ""});
  return ConfigReader(std::move(state), std::move(view));
}

namespace {

toml::node* Find(toml::table& table, std::string_view dotted) {
  return table.at_path(dotted).node();
}

}  // namespace

std::string ConfigReader::String(std::string_view key, std::string_view fallback) {
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return std::string(fallback);
  state_->known.insert(node);
  if (const auto* text = node->as_string()) return text->get();
  state_->Fault(node->source(), fmt::format("'{}{}' must be a string", view_->prefix, key));
  return std::string(fallback);
}

std::string ConfigReader::RequiredString(std::string_view key) {
  auto text = String(key, "");
  if (text.empty() && Find(*view_->table, key) == nullptr) {
    state_->Fault(view_->table->source(), fmt::format("'{}{}' is required", view_->prefix, key));
  }
  return text;
}

std::int64_t ConfigReader::Integer(std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most) {
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return fallback;
  state_->known.insert(node);
  const auto* number = node->as_integer();
  if (number == nullptr) {
    state_->Fault(node->source(), fmt::format("'{}{}' must be an integer", view_->prefix, key));
    return fallback;
  }
  if (number->get() < least || number->get() > most) {
    state_->Fault(node->source(), fmt::format("'{}{}' must be from {} to {}", view_->prefix, key, least, most));
    return fallback;
  }
  return number->get();
}

bool ConfigReader::Boolean(std::string_view key, bool fallback) {
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return fallback;
  state_->known.insert(node);
  if (const auto* flag = node->as_boolean()) return flag->get();
  state_->Fault(node->source(), fmt::format("'{}{}' must be true or false", view_->prefix, key));
  return fallback;
}

std::vector<std::string> ConfigReader::Strings(std::string_view key, std::vector<std::string> fallback) {
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return fallback;
  state_->known.insert(node);
  std::vector<std::string> texts;
  const auto* array = node->as_array();
  bool good = array != nullptr;
  if (array != nullptr) {
    for (const auto& element : *array) {
      if (const auto* text = element.as_string()) {
        texts.push_back(text->get());
      } else {
        good = false;
      }
    }
  }
  if (good) return texts;
  state_->Fault(node->source(), fmt::format("'{}{}' must be an array of strings", view_->prefix, key));
  return fallback;
}

std::vector<ConfigReader> ConfigReader::Tables(std::string_view key) {
  std::vector<ConfigReader> readers;
  auto* node = Find(*view_->table, key);
  if (node == nullptr) return readers;
  state_->known.insert(node);
  auto* array = node->as_array();
  if (array == nullptr || (!array->empty() && !array->is_array_of_tables())) {
    state_->Fault(node->source(), fmt::format("'{0}{1}' must be written as [[{0}{1}]] tables", view_->prefix, key));
    return readers;
  }
  for (auto& element : *array) {
    auto view = std::make_shared<View>(View{element.as_table(), fmt::format("{}{}.", view_->prefix, key)});
    readers.push_back(ConfigReader(state_, std::move(view)));
  }
  return readers;
}

void ConfigReader::Reject(std::string_view key, std::string_view why) {
  const auto* node = Find(*view_->table, key);
  state_->Fault(node != nullptr ? node->source() : view_->table->source(),
                fmt::format("'{}{}' {}", view_->prefix, key, why));
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
