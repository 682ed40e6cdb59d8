// A machine that was saved when it was ready, what it depends on, and the folder in which it outlives the executor. It
// holds no user's code or data. Every call blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "executor/machines/memory_file.h"

namespace hearth::executor {

// How a machine comes up, best first.
enum class Way : std::uint8_t { kTemplate = 0, kSave = 1, kBoot = 2 };
constexpr std::string_view WayName(Way way) {
  switch (way) {
    case Way::kTemplate: return "template";
    case Way::kSave: return "save";
    case Way::kBoot: return "boot";
  }
  return "unknown";
}

// All that must be the same for a saved machine to be used. Compared as a whole, reported by field.
struct Binding {
  std::string way;    // what was saved, and how
  std::string image;  // hash of the manifest, which holds the hashes of kernel, initramfs (with the agent), root image
  std::string emulator;  // QEMU's version, and size and time of its file
  std::string libvirt;   // its version
  std::string processor;
  std::string boot_id;  // of the host's kernel
  std::string acceleration;
  std::int64_t memory_mib = 0;
  std::int64_t vcpus = 0;
  std::string devices;  // HashOfDevices
  friend bool operator==(const Binding&, const Binding&) = default;
};

// "image: <found> instead of <wanted>" for the first field that differs.
std::optional<std::string> Mismatch(const Binding& wanted, const Binding& found);

struct SavedManifest {
  Binding binding;
  std::string boot_nonce;     // of the machine that was saved; its clones share it
  std::string state_sha256;   // MemoryFile::Hash
  std::string memory_sha256;  // empty where the state holds the memory
  friend bool operator==(const SavedManifest&, const SavedManifest&) = default;
};

std::string EncodeManifest(const SavedManifest& manifest);  // JSON
Result<SavedManifest> DecodeManifest(std::string_view text);

// Sealed: what was verified is what is used.
struct SavedMachine {
  Binding binding;
  std::string boot_nonce;
  MemoryFile state;
  std::optional<MemoryFile> memory;
};

class SavedStore {
 public:
  // What Load insists on. Tests switch a check off to show that it is needed.
  struct Checks {
    bool binding = true;
    bool hashes = true;
  };
  explicit SavedStore(std::string folder) : SavedStore(std::move(folder), Checks{true, true}) {}
  SavedStore(std::string folder, Checks checks) : folder_(std::move(folder)), checks_(checks) {}

  // kNotFound: there is none; kInvalid: it is another's, damaged, or not readable as one. Never anything unverified.
  [[nodiscard]] Result<SavedMachine> Load(const std::string& name, const Binding& wanted) const;
  // Seals the parts, and keeps copies for the next life of the executor. A copy that cannot be written is no failure:
  // `kept` says why.
  Result<SavedMachine> Keep(const std::string& name, const Binding& binding, const std::string& boot_nonce,
                            MemoryFile state, std::optional<MemoryFile> memory, Result<void>* kept) const;
  void Remove(const std::string& name) const;
  // Makes the folder, for nobody else's eyes.
  [[nodiscard]] Result<void> MakeFolder() const;

  [[nodiscard]] std::string PathOf(const std::string& name, const char* suffix) const;

 private:
  std::string folder_;
  Checks checks_;
};

}  // namespace hearth::executor
