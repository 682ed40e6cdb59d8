// The image folder is checked against its manifest.
#include "executor/machines/image.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "common/base/sha256.h"

namespace hearth::executor {
namespace {

namespace fs = std::filesystem;

class ImageTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "hearth-image-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    Write("vmlinux", "kernel");
    Write("initramfs.cpio", "agent");
    Write("root.squashfs", "root");
    Write("manifest.json", Manifest("kernel"));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  static std::string Manifest(const std::string& kernel) {
    return R"({"format": 1, "cmdline_tcg": "quiet tcg", "cmdline_kvm": "quiet kvm", "runtimes": ["python3", "native"], "files": {)"
           R"("vmlinux": {"sha256": ")" +
           Sha256Hex(kernel) + R"("}, "initramfs.cpio": {"sha256": ")" + Sha256Hex("agent") +
           R"("}, "root.squashfs": {"sha256": ")" + Sha256Hex("root") + R"("}}})";
  }

  fs::path folder_;
};

TEST_F(ImageTest, IsReadWithItsCommandLines) {
  const auto image = LoadImage(folder_.string());
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->cmdline(Acceleration::kTcg), "quiet tcg");
  EXPECT_EQ(image->cmdline(Acceleration::kKvm), "quiet kvm");
  EXPECT_EQ(image->runtimes, (std::set{Runtime::kNative, Runtime::kPython3}));
  EXPECT_EQ(image->hash, Sha256Hex(Manifest("kernel")));
  EXPECT_TRUE(fs::equivalent(image->kernel, folder_ / "vmlinux"));
}

TEST_F(ImageTest, APartThatIsNotTheManifestsIsRefused) {
  Write("vmlinux", "another kernel");
  const auto image = LoadImage(folder_.string());
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, Code::kInvalid);
  EXPECT_NE(image.error().message.find("vmlinux"), std::string::npos);
}

TEST_F(ImageTest, AbsentPartsAndBrokenManifestsAreNamed) {
  fs::remove(folder_ / "root.squashfs");
  EXPECT_EQ(LoadImage(folder_.string()).error().code, Code::kNotFound);
  Write("manifest.json", "{");
  EXPECT_EQ(LoadImage(folder_.string()).error().code, Code::kInvalid);
  Write("manifest.json", R"({"cmdline_tcg": 1})");
  EXPECT_EQ(LoadImage(folder_.string()).error().code, Code::kInvalid);
  EXPECT_EQ(LoadImage((folder_ / "nowhere").string()).error().code, Code::kNotFound);
}

TEST_F(ImageTest, IsCopiedToWhereOtherAccountsCanReadIt) {
  const auto image = LoadImage(folder_.string());
  ASSERT_TRUE(image);
  fs::permissions(folder_, fs::perms::owner_all);
  EXPECT_FALSE(ReadableByAll(image->kernel));
  std::string open_folder = testing::TempDir() + "hearth-stage-XXXXXX";
  ASSERT_NE(mkdtemp(open_folder.data()), nullptr);
  fs::permissions(open_folder, static_cast<fs::perms>(0755));
  const auto staged = StageImage(*image, open_folder);
  ASSERT_TRUE(staged) << staged.error().message;
  EXPECT_TRUE(ReadableByAll(staged->kernel));
  EXPECT_TRUE(ReadableByAll(staged->root_image));
  fs::permissions(open_folder, fs::perms::owner_all);
  EXPECT_EQ(StageImage(*image, open_folder).error().code, Code::kInvalid);
  fs::remove_all(open_folder);
}

}  // namespace
}  // namespace hearth::executor
