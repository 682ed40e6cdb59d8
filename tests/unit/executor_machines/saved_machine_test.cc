// What is saved of a machine: sealed memory, the manifest that binds it, and libvirt's save image.
#include "executor/machines/saved_machine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "executor/machines/save_image.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMib = 1LL << 20;

class SavedMachineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/hearth-s-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static MemoryFile Filled(std::int64_t bytes, std::int64_t at, const std::string& text) {
    auto file = MemoryFile::Create("test", bytes);
    EXPECT_TRUE(file);
    EXPECT_EQ(pwrite(file->descriptor(), text.data(), text.size(), at), static_cast<ssize_t>(text.size()));
    return std::move(*file);
  }

  fs::path folder_;
};

Binding Example() {
  return {"template", "image", "7002022, 1 bytes of 2", "9000000", "emulated", "boot", "tcg", 4, 1, "devices"};
}

TEST_F(SavedMachineTest, SealedMemoryIsReadAndMappedPrivatelyAndChangedByNobody) {
  auto file = Filled(kMib, 5000, "hello");
  ASSERT_TRUE(file.Seal());
  // As QEMU opens it: for writing, though it only maps copies of its own.
  const Fd again(open(("/proc/self/fd/" + std::to_string(file.descriptor())).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(again);
  EXPECT_LT(pwrite(again.get(), "x", 1, 5000), 0);
  EXPECT_NE(ftruncate(again.get(), 10), 0);
  EXPECT_EQ(mmap(nullptr, kMib, PROT_READ | PROT_WRITE, MAP_SHARED, again.get(), 0), MAP_FAILED);
  void* memory = mmap(nullptr, kMib, PROT_READ | PROT_WRITE, MAP_PRIVATE, again.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  EXPECT_EQ(std::memcmp(static_cast<char*>(memory) + 5000, "hello", 5), 0);
  static_cast<char*>(memory)[5000] = 'J';
  char there = 0;
  EXPECT_EQ(pread(file.descriptor(), &there, 1, 5000), 1);
  EXPECT_EQ(there, 'h');
  munmap(memory, kMib);
}

// The mutant: without the seals, whoever may open it may change what all map.
TEST_F(SavedMachineTest, UnsealedMemoryCouldBeChanged) {
  const auto file = Filled(kMib, 0, "hello");
  const Fd again(open(("/proc/self/fd/" + std::to_string(file.descriptor())).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(again);
  EXPECT_EQ(pwrite(again.get(), "x", 1, 0), 1);
}

TEST_F(SavedMachineTest, MemoryThatSomebodyStillWritesIsNotSealed) {
  auto file = Filled(kMib, 0, "hello");
  void* memory = mmap(nullptr, kMib, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  EXPECT_FALSE(file.Seal());
  munmap(memory, kMib);
  EXPECT_TRUE(file.Seal());
}

TEST_F(SavedMachineTest, AKeeperKeepsADescriptorWhileItLives) {
  const auto file = Filled(kMib, 0, "held");
  std::string path;
  {
    auto keeper = MemoryKeeper::Start(file.descriptor(), std::nullopt);
    ASSERT_TRUE(keeper) << keeper.error().message;
    path = (*keeper)->path();
    std::ifstream held(path);
    std::string text(4, '\0');
    held.read(text.data(), 4);
    EXPECT_EQ(text, "held");
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(SavedMachineTest, AKeeperOpensItsDescriptorForItsAccountAlone) {
  if (geteuid() != 0) GTEST_SKIP() << "only root changes accounts";
  const auto file = Filled(kMib, 0, "held");
  const auto keeper = MemoryKeeper::Start(file.descriptor(), MachineAccount{1'999'000'001, 65534});
  ASSERT_TRUE(keeper) << keeper.error().message;
  const auto opens_as = [&](unsigned uid) {
    const pid_t child = fork();
    if (child == 0) {
      if (setgid(65534) != 0 || setuid(uid) != 0) _exit(2);
      _exit(open((*keeper)->path().c_str(), O_RDWR) >= 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(opens_as(1'999'000'001), 0);
  EXPECT_EQ(opens_as(1'999'000'002), 1) << "another machine's account";
}

TEST_F(SavedMachineTest, TheHashIsThatOfTheContentNotOfTheHoles) {
  auto sparse = Filled(kMib, 500'000, "x");
  auto dense = Filled(kMib, 500'000, "x");
  const std::string zeros(4096, '\0');
  EXPECT_EQ(pwrite(dense.descriptor(), zeros.data(), zeros.size(), 0), 4096);
  EXPECT_EQ(*sparse.Hash(), *dense.Hash());
  EXPECT_NE(*sparse.Hash(), *Filled(kMib, 500'001, "x").Hash());
  EXPECT_NE(*sparse.Hash(), *Filled(kMib, 496'000, "x").Hash());
  EXPECT_NE(*sparse.Hash(), *Filled(2 * kMib, 500'000, "x").Hash());
}

TEST_F(SavedMachineTest, ManifestsComeBackAsTheyWere) {
  const SavedManifest manifest{Example(), "nonce", "state-hash", "memory-hash"};
  const auto decoded = DecodeManifest(EncodeManifest(manifest));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, manifest);
  for (const char* bad : {"", "[]", "{}", R"({"format": 2})", R"({"format": 1, "binding": {}})"}) {
    EXPECT_FALSE(DecodeManifest(bad)) << bad;
  }
}

TEST_F(SavedMachineTest, EveryFieldBinds) {
  const Binding wanted = Example();
  EXPECT_FALSE(Mismatch(wanted, Example()));
  for (auto field : {&Binding::way, &Binding::image, &Binding::emulator, &Binding::libvirt, &Binding::processor,
                     &Binding::boot_id, &Binding::acceleration, &Binding::devices}) {
    Binding found = Example();
    found.*field = "other";
    ASSERT_TRUE(Mismatch(wanted, found));
    EXPECT_NE(Mismatch(wanted, found)->find("'other' instead of '" + wanted.*field), std::string::npos);
  }
  for (auto field : {&Binding::memory_mib, &Binding::vcpus}) {
    Binding found = Example();
    found.*field = 77;
    EXPECT_TRUE(Mismatch(wanted, found));
  }
}

TEST_F(SavedMachineTest, WhatIsKeptIsFoundAgainUnlessAnythingChanged) {
  const SavedStore store((folder_ / "kept").string());
  ASSERT_TRUE(store.MakeFolder());
  EXPECT_EQ(store.Load("a", Example()).error().code, Code::kNotFound);
  Result<void> kept;
  const auto keep = [&] {
    return store.Keep("a", Example(), "nonce", Filled(100, 0, "state"), Filled(4 * kMib, 9000, "memory"), &kept);
  };
  ASSERT_TRUE(keep());
  ASSERT_TRUE(kept) << kept.error().message;
  auto loaded = store.Load("a", Example());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->boot_nonce, "nonce");
  EXPECT_EQ(loaded->memory->bytes(), 4 * kMib);
  EXPECT_LT(pwrite(loaded->memory->descriptor(), "x", 1, 0), 0) << "it is sealed";

  Binding other = Example();
  other.emulator = "8000000";
  EXPECT_EQ(store.Load("a", other).error().code, Code::kInvalid);
  for (const char* part : {"state", "memory"}) {
    ASSERT_TRUE(keep());
    std::fstream(store.PathOf("a", part), std::ios::binary | std::ios::in | std::ios::out).seekp(50).put('x');
    EXPECT_EQ(store.Load("a", Example()).error().code, Code::kInvalid) << part;
    ASSERT_TRUE(keep());
    fs::remove(store.PathOf("a", part));
    EXPECT_FALSE(store.Load("a", Example())) << part;
  }
  store.Remove("a");
  EXPECT_TRUE(fs::is_empty(folder_ / "kept"));
}

TEST_F(SavedMachineTest, ACopyThatCannotBeKeptIsNoFailure) {
  const SavedStore store((folder_ / "not-there").string());
  Result<void> kept;
  const auto saved = store.Keep("a", Example(), "nonce", Filled(100, 0, "state"), std::nullopt, &kept);
  ASSERT_TRUE(saved) << saved.error().message;
  EXPECT_FALSE(kept);
}

// An image as libvirt writes it: header, XML, cookie, padding, stream.
std::string SaveImage(const std::string& xml, const std::string& cookie, std::uint32_t room) {
  std::string data = xml + '\0';
  const auto cookie_at = static_cast<std::uint32_t>(cookie.empty() ? 0 : data.size());
  if (!cookie.empty()) data += cookie + '\0';
  data.resize(room, '\0');
  std::string head(kSaveHeaderBytes, '\0');
  std::memcpy(head.data(), "LibvirtQemudSave", 16);
  const std::uint32_t fields[] = {2, room, 1, 0, cookie_at};
  std::memcpy(head.data() + 16, fields, sizeof fields);
  return head + data + "the stream";
}

TEST(SaveImage, IsRewrittenInPlace) {
  const auto image = SaveImage("<domain/>", "<cookie/>", 200);
  const auto header = ReadSaveHeader(image);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->xml, "<domain/>");
  EXPECT_EQ(header->cookie, "<cookie/>");
  const auto replaced = ReplaceSaveXml(image, "<domain><name>longer</name></domain>");
  ASSERT_TRUE(replaced) << replaced.error().message;
  EXPECT_EQ(replaced->size(), image.size());
  EXPECT_TRUE(replaced->ends_with("the stream"));
  const auto again = ReadSaveHeader(*replaced);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->xml, "<domain><name>longer</name></domain>");
  EXPECT_EQ(again->cookie, "<cookie/>");
  EXPECT_EQ(ReplaceSaveXml(image, std::string(190, 'x')).error().code, Code::kExhausted);
}

TEST(SaveImage, WithoutACookieHasNoneAfterwards) {
  const auto replaced = ReplaceSaveXml(SaveImage("<domain/>", "", 100), "<other/>");
  ASSERT_TRUE(replaced);
  EXPECT_EQ(ReadSaveHeader(*replaced)->cookie, "");
}

TEST(SaveImage, WhatIsNoneIsRefused) {
  const auto good = SaveImage("<domain/>", "<cookie/>", 200);
  EXPECT_FALSE(ReadSaveHeader(""));
  EXPECT_FALSE(ReadSaveHeader(good.substr(0, 150))) << "cut off";
  auto bad = good;
  bad[0] = 'l';
  EXPECT_FALSE(ReadSaveHeader(bad)) << "magic";
  bad = good;
  bad[16] = 3;
  EXPECT_FALSE(ReadSaveHeader(bad)) << "version";
  bad = good;
  bad[23] = '\x7f';
  EXPECT_FALSE(ReadSaveHeader(bad)) << "giant length";
  bad = good;
  bad[32] = 5;
  EXPECT_FALSE(ReadSaveHeader(bad)) << "cookie within the XML";
  EXPECT_FALSE(ReadSaveHeader(SaveImage(std::string(100, 'x'), "", 100))) << "XML without an end";
}

}  // namespace
}  // namespace hearth::executor
