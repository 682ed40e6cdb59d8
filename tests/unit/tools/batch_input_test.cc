// The items of a file: each format, what is refused with its line, ids that stand there twice, and files that are read
// without going into memory.
#include "tools/hearth/batch_input.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/base/fd.h"
#include "schemas/batch_digest.h"
#include "schemas/limits.h"

namespace hearth::tool {
namespace {

namespace fs = std::filesystem;

const FunctionName kFunction("resize");

class BatchInputTest : public testing::Test {
 protected:
  BatchInputTest() {
    std::string path = (fs::temp_directory_path() / "hearth-items-XXXXXX").string();
    folder_ = mkdtemp(path.data());
  }
  ~BatchInputTest() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return (folder_ / name).string();
  }
  BatchInput Open(const std::string& content, InputFormat format, bool envelope = false) const {
    return BatchInput::Open(Write("items", content), format, envelope).value();
  }
  static std::vector<BatchItem> All(BatchInput& input) {
    std::vector<BatchItem> items;
    for (;;) {
      auto item = input.Next();
      EXPECT_TRUE(item) << item.error().message;
      if (!item || !*item) return items;
      items.push_back(std::move(**item));
    }
  }
  std::vector<std::string> Payloads(const std::string& content, InputFormat format, bool envelope = false) const {
    BatchInput input = Open(content, format, envelope);
    std::vector<std::string> payloads;
    for (const BatchItem& item : All(input)) payloads.push_back(item.payload);
    return payloads;
  }
  // `message` without the file's name before it.
  void ExpectRefused(const std::string& content, InputFormat format, Code code, const std::string& message,
                     bool envelope = false) const {
    BatchInput input = Open(content, format, envelope);
    const auto checked = input.Check(kFunction);
    ASSERT_FALSE(checked) << message;
    EXPECT_EQ(checked.error().message, (folder_ / "items").string() + message);
    EXPECT_EQ(checked.error().code, code) << message;
  }

  fs::path folder_;
};

using Texts = std::vector<std::string>;

TEST_F(BatchInputTest, ALineOfJsonIsThePayloadAsItStands) {
  const std::string content = "{\"b\": 1.0, \"a\": 123456789012345678901}\r\n\n  \n[1]\nnull\n\"x\"";
  EXPECT_EQ(Payloads(content, InputFormat::kJsonl),
            (Texts{"{\"b\": 1.0, \"a\": 123456789012345678901}", "[1]", "null", "\"x\""}));
  BatchInput input = Open("\xef\xbb\xbf{}\n", InputFormat::kJsonl);
  const auto item = input.Next();
  ASSERT_TRUE(item);
  EXPECT_EQ((*item)->payload, "{}") << "without a mark of the byte order";
  EXPECT_EQ((*item)->content_type, "application/json");
}

TEST_F(BatchInputTest, AnEnvelopeSaysWhatElseIsMeant) {
  BatchInput input = Open(
      "{\"id\": \"photo 7\", \"in\": {\"b\": 1, \"a\": null}, \"order_key\": \"k\", \"timeout_ms\": 50}\n{\"in\": "
      "null}",
      InputFormat::kJsonl, true);
  const auto items = All(input);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0], (BatchItem{R"({"a":null,"b":1})", "application/json", "photo 7", "k", 50}));
  EXPECT_EQ(items[1], (BatchItem{"null", "application/json", "", "", 0}));
}

TEST_F(BatchInputTest, WhatIsNoItemIsToldWithItsLine) {
  const auto refused = [this](const std::string& content, Code code, const std::string& message) {
    ExpectRefused(content, InputFormat::kJsonl, code, message, true);
  };
  ExpectRefused("1\n{\"a\": }\n", InputFormat::kJsonl, Code::kInvalid, ":2: no JSON, from byte 7 on");
  ExpectRefused("1\n\n1 2\n", InputFormat::kJsonl, Code::kInvalid, ":3: no JSON, from byte 3 on");
  ExpectRefused("1e999\n", InputFormat::kJsonl, Code::kInvalid, ":1: no JSON: a number in it is too large");
  refused("{\"in\": 1}\n[1]\n", Code::kInvalid, ":2: an envelope must be an object with the field 'in'");
  refused("{\"in\": 1}\n{\"id\": \"a\"}\n", Code::kInvalid, ":2: field 'in' is absent");
  refused("{\"in\": 1, \"id\": 7}\n", Code::kInvalid, ":1: field 'id' must be text");
  refused("{\"in\": 1, \"orderkey\": \"\"}\n", Code::kInvalid,
          ":1: an envelope has no field 'orderkey': there are id, in, order_key, timeout_ms");
  refused("{\"in\": 1, \"timeout_ms\": 900001}\n", Code::kExhausted,
          ":1: timeout_ms is 900001: it must be from 0 to 900000");
  refused("{\"in\": " + std::string(40, '[') + std::string(40, ']') + "}\n", Code::kInvalid,
          ":1: nested deeper than 30");
  refused("\n{\"in\": 1, \"id\": \"" + std::string(129, 'i') + "\"}\n", Code::kExhausted,
          ":2: the item's id has 129 bytes; the limit is 128");
}

TEST_F(BatchInputTest, AFileWithoutItemsIsRefused) {
  for (const auto format : {InputFormat::kJsonl, InputFormat::kCsv, InputFormat::kLines, InputFormat::kFiles}) {
    ExpectRefused("", format, Code::kInvalid, " has no items");
  }
  ExpectRefused("\n \n", InputFormat::kJsonl, Code::kInvalid, " has no items");
  ExpectRefused("a,b\n", InputFormat::kCsv, Code::kInvalid, " has a header and no rows");
  EXPECT_EQ(BatchInput::Open((folder_ / "none").string(), InputFormat::kJsonl, false).error().code, Code::kNotFound);
  EXPECT_EQ(BatchInput::Open(folder_.string(), InputFormat::kJsonl, false).error().code, Code::kInvalid);
  EXPECT_EQ(BatchInput::Open(Write("items", "a\n"), InputFormat::kLines, true).error().message,
            "only jsonl has an envelope");
}

TEST_F(BatchInputTest, AnIdThatStandsTwiceIsToldWithBothLines) {
  const auto line = [](const std::string& id) { return "{\"in\":1,\"id\":\"" + id + "\"}\n"; };
  for (const auto& [once, first] : {std::pair("a", "b"), std::pair("b", "a")}) {  // whatever the order of their hashes
    ExpectRefused(line(once) + "{\"in\":1}\n" + line(first) + "\n{\"in\":1}\n" + line(first) + line(once) + line(first),
                  InputFormat::kJsonl, Code::kInvalid, ":6: its id stands in line 3 too: an id names one item", true);
  }
}

TEST_F(BatchInputTest, AnItemHasItsLimit) {
  const std::string most(kMaxPayloadBytes - 2, 'x');
  EXPECT_EQ(Payloads("\"" + most + "\"\n", InputFormat::kJsonl).size(), 1U);
  ExpectRefused("1\n\"" + most + "x\"\n", InputFormat::kJsonl, Code::kExhausted,
                ":2: the item has 1048577 bytes; the limit is 1048576");
  ExpectRefused("x\n" + std::string(7U << 20, 'x') + "\nx\n", InputFormat::kLines, Code::kExhausted,
                ":2: the line has 7340032 bytes; the limit is 6291456");
}

TEST_F(BatchInputTest, LinesAreWhateverTheyAre) {
  BatchInput input = Open("one\r\n\n \xff\ntwo", InputFormat::kLines);
  const auto items = All(input);
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(items[0].payload, "one");
  EXPECT_EQ(items[1].payload, "");
  EXPECT_EQ(items[2].payload, " \xff");
  EXPECT_EQ(items[3].payload, "two");
  EXPECT_EQ(items[3].content_type, "text/plain");
}

TEST_F(BatchInputTest, ARowIsAnObjectOfTexts) {
  const std::string content =
      "\xef\xbb\xbfname,\"the \"\"size\"\"\",note\r\n"
      "a, 1 ,\r\n"
      "\n"
      "\"b,\n\n c\",2,\"say \"\"hi\"\"\"\n"
      "é,3,x";
  BatchInput input = Open(content, InputFormat::kCsv);
  Texts payloads;
  std::vector<std::int64_t> lines;
  for (;;) {
    const auto item = input.Next();
    ASSERT_TRUE(item) << item.error().message;
    if (!*item) break;
    payloads.push_back((*item)->payload);
    lines.push_back(input.line());
    EXPECT_EQ((*item)->content_type, "application/json");
  }
  EXPECT_EQ(payloads, (Texts{R"({"name":"a","the \"size\"":" 1 ","note":""})",
                             R"({"name":"b,\n\n c","the \"size\"":"2","note":"say \"hi\""})",
                             R"({"name":"é","the \"size\"":"3","note":"x"})"}));
  EXPECT_EQ(lines, (std::vector<std::int64_t>{2, 4, 7}));
}

TEST_F(BatchInputTest, ARowThatIsNoneIsToldWithItsFirstLine) {
  const auto refused = [this](const std::string& content, Code code, const std::string& message) {
    ExpectRefused(content, InputFormat::kCsv, code, message);
  };
  refused("a,b\n1,2\n\"1\n\",2,3\n", Code::kInvalid, ":3: the row has 3 fields; the header has 2");
  refused("a,b\n1\n", Code::kInvalid, ":2: the row has 1 fields; the header has 2");
  refused("a,b,a\n1,2,3\n", Code::kInvalid, ":1: the header has the column 'a' twice");
  refused("a,\n1,2\n", Code::kInvalid, ":1: a column of the header has no name");
  refused("a,b\n1,\"2\n3\n\n", Code::kInvalid, ":2: a quote is opened and never closed");
  refused("a,b\n1,x\"y\"\n", Code::kInvalid,
          ":2: a quote stands inside a field, or text behind a closing quote, at byte 4");
  refused("a,b\n1,\"y\"x\n", Code::kInvalid,
          ":2: a quote stands inside a field, or text behind a closing quote, at byte 6");
  refused("a,b\n1,\xff\n", Code::kInvalid, ":2: the column 'b' is not UTF-8");
  refused("a\xff,b\n1,2\n", Code::kInvalid, ":1: the header is not UTF-8");
  refused("a,b\n1," + std::string(kMaxPayloadBytes, 'x') + "\n", Code::kExhausted,
          ":2: the item has 1048592 bytes; the limit is 1048576");
  std::string open = "a,b\n1,\"";
  for (int i = 0; i < 700; ++i) open += std::string(10'000, 'x') + "\n";
  refused(open, Code::kExhausted, ":2: the row has more than 6291456 bytes; is a quote left open?");
}

TEST_F(BatchInputTest, AFileOfPathsHasTheirContents) {
  const std::string first = Write("first.bin", std::string("\0\xff", 2));
  const std::string second = Write("second", "");
  BatchInput input = Open(first + "\n\n" + second + "\r\n", InputFormat::kFiles);
  const auto items = All(input);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0], (BatchItem{std::string("\0\xff", 2), "", first, "", 0}));
  EXPECT_EQ(items[1], (BatchItem{"", "", second, "", 0}));
  const auto refused = [this](const std::string& content, Code code, const std::string& message) {
    ExpectRefused(content, InputFormat::kFiles, code, message);
  };
  refused(first + "\n" + first + "\n", Code::kInvalid, ":2: its id stands in line 1 too: an id names one item");
  refused(first + "\nnowhere/at-all\n", Code::kNotFound, ":2: nowhere/at-all: no such file");
  refused("/dev/zero\n", Code::kInvalid, ":1: /dev/zero is no regular file");
  refused(std::string(5000, 'p') + "\n", Code::kExhausted, ":1: the path has 5000 bytes; the limit is 4096");
  const std::string large = Write("l", std::string(kMaxPayloadBytes + 1, 'x'));
  const std::string shown = large.substr(0, 64);
  refused(large + "\n", Code::kExhausted, ":1: " + shown + " has 1048577 bytes; the limit is 1048576");
}

TEST_F(BatchInputTest, ItIsCheckedOnceAndReadAgain) {
  BatchInput input = Open("1\n2\n3\n", InputFormat::kJsonl);
  const auto summary = input.Check(kFunction);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->items, 3);
  ItemsDigest digest(kFunction);
  const auto items = All(input);
  for (const BatchItem& item : items) digest.Add(item);
  EXPECT_EQ(items.size(), 3U);
  EXPECT_EQ(digest.FinishHex(), summary->digest);
  EXPECT_EQ(input.line(), 3) << "lines are counted anew";
  BatchInput csv = Open("a\n1\n2\n", InputFormat::kCsv);
  ASSERT_TRUE(csv.Check(kFunction));
  EXPECT_EQ(All(csv).size(), 2U) << "the header is read again too";
}

// Puts a pipe, or what else, in the place of the standard input.
class StandardInput {
 public:
  explicit StandardInput(int fd) : saved_(dup(STDIN_FILENO)) { dup2(fd, STDIN_FILENO); }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;
  ~StandardInput() { dup2(saved_.get(), STDIN_FILENO); }

 private:
  Fd saved_;
};

TEST_F(BatchInputTest, TheStandardInputIsReadAgainThoughItIsAPipe) {
  int ends[2] = {};
  ASSERT_EQ(pipe(ends), 0);
  Fd from(ends[0]);
  Fd to(ends[1]);
  const std::string content = "1\n2\nx\n";
  ASSERT_EQ(write(to.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  to.Reset();
  const StandardInput pipe_instead(from.get());
  auto input = BatchInput::Open("-", InputFormat::kLines, false);
  ASSERT_TRUE(input) << input.error().message;
  ASSERT_TRUE(input->Check(kFunction));
  EXPECT_EQ(All(*input).size(), 3U);
  auto json = BatchInput::Open("-", InputFormat::kJsonl, false);
  ASSERT_TRUE(json);
  EXPECT_EQ(json->Check(kFunction).error().message, "standard input has no items") << "the pipe was read";
}

// 200 MB of lines, and the process grows by what is kept of their ids: 16 bytes each, twice while it is moved.
TEST_F(BatchInputTest, ALargeFileDoesNotGoIntoMemory) {
  constexpr std::int64_t kItems = 200'000;
  [[maybe_unused]] constexpr std::int64_t kMostKib = 32 * 1024;
  {
    std::ofstream out(folder_ / "items", std::ios::binary);
    const std::string filling(1000, 'x');
    for (std::int64_t i = 0; i < kItems; ++i) out << "{\"id\":\"n" << i << "\",\"in\":\"" << filling << "\"}\n";
  }
  auto input = BatchInput::Open((folder_ / "items").string(), InputFormat::kJsonl, true);
  ASSERT_TRUE(input);
  rusage before{};
  rusage after{};
  getrusage(RUSAGE_SELF, &before);
  const auto summary = input->Check(kFunction);
  getrusage(RUSAGE_SELF, &after);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->items, kItems);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, kMostKib);
#endif
}

}  // namespace
}  // namespace hearth::tool
