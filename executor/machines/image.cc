#include "executor/machines/image.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/base/sha256.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxManifestBytes = 1U << 20;
constexpr const char* kManifest = "manifest.json";

struct Part {
  const char* file;
  std::string MachineImage::* path;
};
constexpr std::array<Part, 3> kParts{{{"vmlinux", &MachineImage::kernel},
                                      {"initramfs.cpio", &MachineImage::initrd},
                                      {"root.squashfs", &MachineImage::root_image}}};

Result<std::string> Text(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return Fail(Code::kInvalid, fmt::format("{}: no text under '{}'", kManifest, key));
  }
  return found->get<std::string>();
}

constexpr std::size_t kReadBytes = 1U << 20;

Result<std::string> HashOfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(Code::kNotFound, "cannot open " + path);
  Sha256 digest;
  std::vector<char> buffer(kReadBytes);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    digest.Update({buffer.data(), static_cast<std::size_t>(file.gcount())});
  }
  if (!file.eof()) return Fail(Code::kUnavailable, "cannot read " + path);
  return digest.FinishHex();
}

}  // namespace

Result<MachineImage> LoadImage(const std::string& folder) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return Fail(Code::kNotFound, fmt::format("image {}: {}", folder, error.message()));
  const fs::path manifest_path = root / kManifest;
  const auto size = fs::file_size(manifest_path, error);
  if (error) return Fail(Code::kNotFound, fmt::format("image {}: {}: {}", folder, kManifest, error.message()));
  if (size > kMaxManifestBytes)
    return Fail(Code::kInvalid, fmt::format("image {}: {} is too large", folder, kManifest));
  std::ifstream file(manifest_path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto manifest = nlohmann::json::parse(text, nullptr, false);
  if (!manifest.is_object()) return Fail(Code::kInvalid, fmt::format("image {}: {} is not JSON", folder, kManifest));

  MachineImage image;
  image.hash = Sha256Hex(text);
  auto tcg = Text(manifest, "cmdline_tcg");
  if (!tcg) return FailWith("image " + folder, tcg.error());
  auto kvm = Text(manifest, "cmdline_kvm");
  if (!kvm) return FailWith("image " + folder, kvm.error());
  image.cmdline_tcg = std::move(*tcg);
  image.cmdline_kvm = std::move(*kvm);
  if (const auto runtimes = manifest.find("runtimes"); runtimes != manifest.end() && runtimes->is_array()) {
    for (const auto& name : *runtimes) {
      if (!name.is_string()) return Fail(Code::kInvalid, fmt::format("image {}: a runtime that is no text", folder));
      auto runtime = ParseRuntime(name.get<std::string>());
      if (!runtime) return FailWith("image " + folder, runtime.error());
      image.runtimes.insert(*runtime);
    }
  }
  const auto files = manifest.find("files");
  if (files == manifest.end() || !files->is_object()) {
    return Fail(Code::kInvalid, fmt::format("image {}: {}: no map under 'files'", folder, kManifest));
  }
  for (const auto& part : kParts) {
    const auto entry = files->find(part.file);
    if (entry == files->end() || !entry->is_object()) {
      return Fail(Code::kInvalid, fmt::format("image {}: {} does not name {}", folder, kManifest, part.file));
    }
    auto wanted = Text(*entry, "sha256");
    if (!wanted) return FailWith("image " + folder, wanted.error());
    image.*part.path = (root / part.file).string();
    auto hash = HashOfFile(image.*part.path);
    if (!hash) return FailWith("image " + folder, hash.error());
    if (*hash != *wanted) {
      return Fail(Code::kInvalid,
                  fmt::format("image {}: {} is not the file that the manifest names", folder, part.file));
    }
  }
  return image;
}

bool ReadableByAll(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0 || (status.st_mode & S_IROTH) == 0) return false;
  for (fs::path folder = fs::path(path).parent_path(); !folder.empty(); folder = folder.parent_path()) {
    if (stat(folder.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return false;
    if (folder == folder.root_path()) break;
  }
  return true;
}

Result<MachineImage> StageImage(const MachineImage& image, const std::string& folder) {
  bool readable = true;
  for (const auto& part : kParts) readable = readable && ReadableByAll(image.*part.path);
  if (readable) return image;
  MachineImage staged = image;
  std::error_code error;
  const auto set_mode = [&error](const fs::path& path, mode_t mode) {
    if (!error && chmod(path.c_str(), mode) != 0) error.assign(errno, std::system_category());
  };
  const fs::path target = fs::absolute(folder, error) / ("image-" + image.hash.substr(0, 16));
  fs::create_directories(target, error);
  set_mode(target, 0755);
  for (const auto& part : kParts) {
    const fs::path path = target / part.file;
    if (!error) fs::copy_file(image.*part.path, path, fs::copy_options::overwrite_existing, error);
    set_mode(path, 0644);
    if (error) return Fail(Code::kUnavailable, fmt::format("cannot copy the image to {}: {}", folder, error.message()));
    staged.*part.path = path.string();
    if (!ReadableByAll(path.string())) {
      return Fail(Code::kInvalid,
                  fmt::format("accounts other than root cannot reach {} (a folder above it has no x for "
                              "others): machines cannot run under accounts of their own",
                              folder));
    }
  }
  return staged;
}

}  // namespace hearth::executor
