// Code on its way into the code store: archives are the same bytes for the same files, and bring byte code along.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "schemas/limits.h"
#include "tools/code/archive.h"
#include "tools/code/byte_code.h"

namespace hearth::tool {
namespace {

namespace fs = std::filesystem;

class CodeTest : public testing::Test {
 protected:
  CodeTest() {
    std::string path = (fs::temp_directory_path() / "hearth-code-XXXXXX").string();
    folder_ = mkdtemp(path.data());
  }
  ~CodeTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& content) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << content;
  }
  static std::vector<std::string> Names(const std::vector<CodeFile>& files) {
    std::vector<std::string> names;
    for (const auto& file : files) names.push_back(file.name);
    std::ranges::sort(names);
    return names;
  }

  fs::path folder_;
};

TEST_F(CodeTest, FilesOnlyAndTheSameBytesInAnyOrder) {
  Write("app.py", "x = 1\n");
  Write("deep/er/run", "#!/bin/sh\n");
  fs::permissions(folder_ / "deep/er/run", fs::perms::owner_exec, fs::perm_options::add);
  Write("__pycache__/app.cpython-310.pyc", "of somebody's interpreter");
  Write("deep/__pycache__/x.pyc", "");
  fs::create_symlink("/etc/passwd", folder_ / "link");
  auto files = ReadCode(folder_);
  ASSERT_TRUE(files) << files.error().message;
  ASSERT_THAT(Names(*files), testing::ElementsAre("app.py", "deep/er/run"));
  const auto runs = std::ranges::find(*files, "deep/er/run", &CodeFile::name);
  EXPECT_TRUE(runs->executable);
  EXPECT_EQ(runs->content, "#!/bin/sh\n");
  const auto packed = PackCode(*files);
  std::ranges::reverse(*files);
  EXPECT_EQ(*PackCode(*files), *packed);
  EXPECT_THAT(Names(*ReadCode(folder_ / "app.py")), testing::ElementsAre("app.py"));
}

TEST_F(CodeTest, WhatIsNotThereOrTooLargeIsNamed) {
  for (const auto& path : {folder_.string(), (folder_ / "absent").string()}) {
    const auto files = ReadCode(path);
    ASSERT_FALSE(files);
    EXPECT_EQ(files.error().code, Code::kNotFound);
    EXPECT_THAT(files.error().message, testing::HasSubstr(path));
  }
  Write("large", "");
  fs::resize_file(folder_ / "large", kMaxCodeBytes + 1);
  EXPECT_EQ(ReadCode(folder_).error().code, Code::kExhausted);
  fs::resize_file(folder_ / "large", kMaxCodeBytes);
  EXPECT_EQ(PackCode(*ReadCode(folder_)).error().code, Code::kExhausted) << "with its head it is more";
}

TEST_F(CodeTest, NoArchiveThatTheGuestWouldRefuse) {
  std::string deep = "f";
  for (std::size_t i = 1; i < kMaxCodePathParts; ++i) deep.insert(0, "d/");
  EXPECT_TRUE(PackCode({{deep, ""}}));
  EXPECT_EQ(PackCode({{"d/" + deep, ""}}).error().code, Code::kExhausted);
  EXPECT_EQ(PackCode({{std::string(101, 'n'), ""}}).error().code, Code::kInvalid);
  std::vector<CodeFile> many(kMaxCodeEntries + 1);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].name = std::to_string(i);
  EXPECT_EQ(PackCode(many).error().code, Code::kExhausted);
  many.pop_back();
  EXPECT_TRUE(PackCode(many));
}

TEST_F(CodeTest, PythonIsCompiledAndNotRun) {
  Write("app.py", "import sys\nsys.exit('it ran')\n");
  Write("package/part.py", "values = {'b', 'a'} | {1}\n");
  Write("package/broken.py", "def (\n");
  Write("readme.txt", "x = 1\n");
  const auto files = ReadCode(folder_);
  testing::internal::CaptureStderr();
  const auto compiled = CompilePython(*files);
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(compiled) << compiled.error().message;
  EXPECT_THAT(Names(*compiled),
              testing::ElementsAre("__pycache__/app.cpython-311.pyc", "package/__pycache__/part.cpython-311.pyc"));
  EXPECT_THAT(said, testing::AllOf(testing::HasSubstr("broken.py"), testing::HasSubstr("SyntaxError")));
  EXPECT_THAT(said, testing::Not(testing::HasSubstr("it ran")));
  EXPECT_EQ(Names(*ReadCode(folder_)), Names(*files)) << "nothing is left in the folder";
  EXPECT_FALSE(fs::exists(folder_ / "__pycache__"));
  for (const auto& file : *compiled) {
    ASSERT_GT(file.content.size(), 16U);
    EXPECT_EQ(file.content[4], 1) << "taken as it is, whenever the source was written";
    EXPECT_THAT(file.content, testing::HasSubstr("/code/")) << "where the source will be, for tracebacks";
    EXPECT_THAT(file.content, testing::Not(testing::HasSubstr(folder_.string()))) << "nothing of this host";
  }
}

TEST_F(CodeTest, TheSameSourceIsTheSameByteCodeWhereverItLies) {
  const std::string source =
      "def handler(event, context):\n  return event in {'a', 'b', 'c'} and {1: 'one', 2: 'two'}\n";
  Write("one/app.py", source);
  Write("two/app.py", source);
  const auto compile = [this](const char* path) {
    auto compiled = CompilePython(*ReadCode(folder_ / path));
    return compiled && compiled->size() == 1 ? compiled->front().content : std::string();
  };
  const std::string one = compile("one");
  EXPECT_FALSE(one.empty());
  EXPECT_EQ(compile("two"), one);
  EXPECT_EQ(compile("two/app.py"), one);
  fs::create_symlink(folder_ / "two/app.py", folder_ / "app.py");
  EXPECT_EQ(compile("app.py"), one) << "a file by another name";
}

TEST_F(CodeTest, WithoutAnInterpreterItSaysSo) {
  Write("app.py", "x = 1\n");
  const char* found = getenv("PATH");
  const std::string path = found == nullptr ? "" : found;
  setenv("PATH", folder_.c_str(), 1);
  const auto compiled = CompilePython(*ReadCode(folder_));
  setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().code, Code::kUnavailable);
  EXPECT_EQ(compiled.error().message, "python3.11 is not installed");
}

}  // namespace
}  // namespace hearth::tool
