#include "executor/machines/saved_machine.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr std::uintmax_t kMaxManifestBytes = 64U << 10;
constexpr std::int64_t kMaxStateBytes = 64LL << 20;           // beside the memory
constexpr std::int64_t kMaxStateWithMemoryBytes = 8LL << 30;  // where the memory is in it
constexpr std::int64_t kMib = 1LL << 20;

struct TextField {
  const char* name;
  std::string Binding::* value;
};
constexpr std::array<TextField, 8> kTexts{{{"way", &Binding::way},
                                           {"image", &Binding::image},
                                           {"emulator", &Binding::emulator},
                                           {"libvirt", &Binding::libvirt},
                                           {"processor", &Binding::processor},
                                           {"boot_id", &Binding::boot_id},
                                           {"acceleration", &Binding::acceleration},
                                           {"devices", &Binding::devices}}};
struct NumberField {
  const char* name;
  std::int64_t Binding::* value;
};
constexpr std::array<NumberField, 2> kNumbers{{{"memory_mib", &Binding::memory_mib}, {"vcpus", &Binding::vcpus}}};

Result<std::string> Text(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return Fail(Code::kInvalid, fmt::format("no text under '{}'", key));
  return found->get<std::string>();
}

Result<std::string> ReadManifest(const std::string& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) return Fail(Code::kNotFound, "there is none yet");
  if (bytes > kMaxManifestBytes) return Fail(Code::kInvalid, "the manifest is too large");
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

Result<void> WriteManifest(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  std::ofstream file(beside, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file || chmod(beside.c_str(), 0600) != 0 || rename(beside.c_str(), path.c_str()) != 0) {
    return Fail(Code::kUnavailable, "cannot write " + path);
  }
  return {};
}

}  // namespace

std::optional<std::string> Mismatch(const Binding& wanted, const Binding& found) {
  for (const auto& field : kTexts) {
    if (wanted.*field.value != found.*field.value) {
      return fmt::format("{}: '{}' instead of '{}'", field.name, found.*field.value, wanted.*field.value);
    }
  }
  for (const auto& field : kNumbers) {
    if (wanted.*field.value != found.*field.value) {
      return fmt::format("{}: {} instead of {}", field.name, found.*field.value, wanted.*field.value);
    }
  }
  return std::nullopt;
}

std::string EncodeManifest(const SavedManifest& manifest) {
  nlohmann::json binding = nlohmann::json::object();
  for (const auto& field : kTexts) binding[field.name] = manifest.binding.*field.value;
  for (const auto& field : kNumbers) binding[field.name] = manifest.binding.*field.value;
  const nlohmann::json object = {{"format", kFormat},
                                 {"binding", std::move(binding)},
                                 {"boot_nonce", manifest.boot_nonce},
                                 {"state_sha256", manifest.state_sha256},
                                 {"memory_sha256", manifest.memory_sha256}};
  return object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<SavedManifest> DecodeManifest(std::string_view text) {
  const auto object = nlohmann::json::parse(text, nullptr, false);
  if (!object.is_object()) return Fail(Code::kInvalid, "the manifest is not JSON");
  const auto format = object.find("format");
  if (format == object.end() || *format != kFormat) return Fail(Code::kInvalid, "a manifest of another format");
  const auto binding = object.find("binding");
  if (binding == object.end() || !binding->is_object()) return Fail(Code::kInvalid, "no map under 'binding'");
  SavedManifest manifest;
  for (const auto& field : kTexts) {
    auto value = Text(*binding, field.name);
    if (!value) return std::unexpected(value.error());
    manifest.binding.*field.value = std::move(*value);
  }
  for (const auto& field : kNumbers) {
    const auto found = binding->find(field.name);
    if (found == binding->end() || !found->is_number_integer()) {
      return Fail(Code::kInvalid, fmt::format("no number under '{}'", field.name));
    }
    manifest.binding.*field.value = found->get<std::int64_t>();
  }
  for (const auto& [key, value] :
       {std::pair{"boot_nonce", &manifest.boot_nonce}, std::pair{"state_sha256", &manifest.state_sha256},
        std::pair{"memory_sha256", &manifest.memory_sha256}}) {
    auto read = Text(object, key);
    if (!read) return std::unexpected(read.error());
    *value = std::move(*read);
  }
  return manifest;
}

std::string SavedStore::PathOf(const std::string& name, const char* suffix) const {
  return fmt::format("{}/{}.{}", folder_, name, suffix);
}

Result<void> SavedStore::MakeFolder() const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!error) fs::permissions(folder_, static_cast<fs::perms>(0700), error);
  struct stat status{};
  if (error || lstat(folder_.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid()) {
    return Fail(Code::kUnavailable,
                fmt::format("{} is not a folder of ours{}{}", folder_, error ? ": " : "", error.message()));
  }
  return {};
}

Result<SavedMachine> SavedStore::Load(const std::string& name, const Binding& wanted) const {
  auto text = ReadManifest(PathOf(name, "json"));
  if (!text) return std::unexpected(text.error());
  auto manifest = DecodeManifest(*text);
  if (!manifest) return std::unexpected(manifest.error());
  if (checks_.binding) {
    if (auto fault = Mismatch(wanted, manifest->binding)) return Fail(Code::kInvalid, "made for " + *fault);
  }
  const bool apart = !manifest->memory_sha256.empty();
  // Read into memory first and sealed: nothing can change between the check and the use.
  const auto verified = [&](const char* suffix, const std::string& hash, std::int64_t most) -> Result<MemoryFile> {
    auto file = MemoryFile::ReadFrom(PathOf(name, suffix), most);
    if (file) {
      if (auto sealed = file->Seal(); !sealed) return std::unexpected(sealed.error());
    }
    if (!file || !checks_.hashes) return file;
    auto found = file->Hash();
    if (!found) return std::unexpected(found.error());
    if (*found != hash) return Fail(Code::kInvalid, fmt::format("its {} is damaged", suffix));
    return file;
  };
  auto state = verified("state", manifest->state_sha256, apart ? kMaxStateBytes : kMaxStateWithMemoryBytes);
  if (!state) return std::unexpected(state.error());
  SavedMachine saved{manifest->binding, manifest->boot_nonce, std::move(*state), std::nullopt};
  if (!apart) return saved;
  auto memory = verified("memory", manifest->memory_sha256, wanted.memory_mib * kMib);
  if (!memory) return std::unexpected(memory.error());
  if (checks_.binding && memory->bytes() != wanted.memory_mib * kMib) {
    return Fail(Code::kInvalid, "its memory is of another size");
  }
  saved.memory = std::move(*memory);
  return saved;
}

Result<SavedMachine> SavedStore::Keep(const std::string& name, const Binding& binding, const std::string& boot_nonce,
                                      MemoryFile state, std::optional<MemoryFile> memory, Result<void>* kept) const {
  SavedManifest manifest{binding, boot_nonce, "", ""};
  if (auto sealed = state.Seal(); !sealed) return FailWith("state", sealed.error());
  auto hash = state.Hash();
  if (!hash) return FailWith("state", hash.error());
  manifest.state_sha256 = std::move(*hash);
  if (memory) {
    if (auto sealed = memory->Seal(); !sealed) return FailWith("memory", sealed.error());
    hash = memory->Hash();
    if (!hash) return FailWith("memory", hash.error());
    manifest.memory_sha256 = std::move(*hash);
  }
  Remove(name);
  *kept = state.WriteTo(PathOf(name, "state"));
  if (*kept && memory) *kept = memory->WriteTo(PathOf(name, "memory"));
  if (*kept) *kept = WriteManifest(PathOf(name, "json"), EncodeManifest(manifest));  // last: it makes the rest count
  if (!*kept) Remove(name);
  return SavedMachine{binding, boot_nonce, std::move(state), std::move(memory)};
}

void SavedStore::Remove(const std::string& name) const {
  for (const char* suffix : {"json", "state", "memory"}) unlink(PathOf(name, suffix).c_str());
}

}  // namespace hearth::executor
