// What others write, as a log or a terminal shows it: one line, nothing that moves a cursor, nothing that looks like
// another field.
#include "common/base/text.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <sstream>

#include "common/log/log.h"

namespace hearth {
namespace {

const std::vector<std::string>& Hostile() {
  static const std::vector<std::string> texts = {"a\n2026-01-01T00:00:00.000000+00:00 info dispatcher forged",
                                                 "a\r\nb",
                                                 "\x1b[31mred\x1b[0m",
                                                 "\x9b"
                                                 "31m",
                                                 "a\xc2\x9b"
                                                 "31m",
                                                 "a\xe2\x80\xa8"
                                                 "b",
                                                 "a\xe2\x80\xae"
                                                 "b",
                                                 "a\xe2\x81\xa6"
                                                 "b",
                                                 "a\xef\xbb\xbf"
                                                 "b",
                                                 std::string("a\0b", 3),
                                                 "\x7f",
                                                 "a\xff\xfe",
                                                 "\xc3",
                                                 "\t\v\f\b\a"};
  return texts;
}

bool IsOneCleanLine(const std::string& line) {
  return EscapeControls(line) == line && line.find('\n') == std::string::npos;
}

TEST(Text, WhatIsNoLetterIsEscaped) {
  for (const auto& text : Hostile()) {
    EXPECT_TRUE(IsOneCleanLine(EscapeControls(text))) << EscapeControls(text);
    EXPECT_NE(EscapeControls(text), text);
  }
  EXPECT_EQ(EscapeControls("a\nb"), "a\\x0ab");
  EXPECT_EQ(EscapeControls("a\nb\x1b", true), "a\nb\\x1b");
  EXPECT_EQ(EscapeControls("\xe2\x80\xae"), "\\u{202e}");
  EXPECT_EQ(EscapeControls("\xff"), "\\xff");
}

TEST(Text, LettersStayAsTheyAre) {
  for (const char* text : {"", "plain text, with {} and \\", "Zürich", "日本語", "🙂",
                           "a\xc2\xa0"
                           "b"}) {
    EXPECT_EQ(EscapeControls(text), text);
  }
}

TEST(Text, AValueIsOneWordOrQuoted) {
  EXPECT_EQ(Quoted("partition:1/offset:24"), "partition:1/offset:24");
  EXPECT_EQ(Quoted(""), "\"\"");
  EXPECT_EQ(Quoted("a user=eve"), "\"a user=eve\"");
  EXPECT_EQ(Quoted("a\" user=eve \\"), "\"a\\\" user=eve \\\\\"");
}

TEST(Text, TextsAreCutBetweenLetters) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "é";
  EXPECT_EQ(CutText(text, 4097).size(), 4096U);
  EXPECT_EQ(CutTextFront(text, 4097).size(), 4096U);
  EXPECT_EQ(CutTextFront(text, 4096).size(), 4096U);
  EXPECT_EQ(CutTextFront("abc", 2), "bc");
  EXPECT_EQ(CutTextFront(std::string(8, '\x80'), 4).size(), 1U) << "bytes that are no text are not searched for ever";
}

TEST(Log, ALineIsOneLineWhateverOthersWrite) {
  std::ostringstream out;
  const auto logger = MakeLogger("d", "info", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  ASSERT_TRUE(logger);
  for (const auto& text : Hostile()) {
    out.str("");
    (*logger)->info("inv={} user={} lost: {}", Quoted(text), text, text);
    std::string line = out.str();
    ASSERT_TRUE(line.ends_with('\n'));
    line.pop_back();
    EXPECT_TRUE(IsOneCleanLine(line)) << line;
  }
}

}  // namespace
}  // namespace hearth
