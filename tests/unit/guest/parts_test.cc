// The agent's parts that need no machine: the hash, the archive reader, the code cache, runtime messages, log tails,
// identities.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/sha256.h"
#include "guest/agent/answer.h"
#include "guest/agent/code_cache.h"
#include "guest/agent/fields.h"
#include "guest/agent/identity.h"
#include "guest/agent/log_tail.h"
#include "guest/agent/seccomp.h"
#include "guest/agent/tar_unpacker.h"

namespace hearth::guest {
namespace {

std::string HashText(std::string_view bytes, std::size_t step = SIZE_MAX) {
  Sha256 hash;
  for (std::size_t at = 0; at < bytes.size(); at += std::min(step, bytes.size())) hash.Update(bytes.substr(at, step));
  return hash.FinishHex();
}

TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(HashText(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HashText("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HashText("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(HashText(std::string(1'000'000, 'a'), 997),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, PiecesMakeNoDifference) {
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string text(size, static_cast<char>('a' + size % 26));
    EXPECT_EQ(HashText(text), HashText(text, 7)) << size;
  }
}

std::string Entry(const std::string& path, const std::string& content, char type = '0', unsigned mode = 0644) {
  std::array<char, 512> head{};
  const std::size_t size = type == '0' ? content.size() : 0;
  std::snprintf(head.data(), 100, "%s", path.c_str());
  std::snprintf(head.data() + 100, 8, "%07o", mode);
  std::snprintf(head.data() + 124, 12, "%011zo", size);
  std::memcpy(head.data() + 148, "        ", 8);
  head[156] = type;
  if (type == '2') std::snprintf(head.data() + 157, 100, "%s", content.c_str());
  std::memcpy(head.data() + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  std::snprintf(head.data() + 148, 8, "%06o", sum);
  std::string out(head.data(), head.size());
  if (type == '0') out += content + std::string((512 - size % 512) % 512, '\0');
  return out;
}
const std::string kEndMark(1024, '\0');

class FolderTest : public testing::Test {
 protected:
  FolderTest() {
    std::string path = (std::filesystem::temp_directory_path() / "hearth-parts-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) std::abort();
    outer_ = path;
    folder_ = path + "/in";
    mkdir(folder_.c_str(), 0755);
  }
  ~FolderTest() override { std::filesystem::remove_all(outer_); }

  Result<void> Unpack(const std::string& archive, std::size_t step = 1000) {
    TarUnpacker unpacker(Fd(open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)));
    for (std::size_t at = 0; at < archive.size(); at += step) {
      if (auto fed = unpacker.Feed(std::string_view(archive).substr(at, step)); !fed) return fed;
    }
    return unpacker.Finish();
  }
  [[nodiscard]] std::string Read(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string outer_, folder_;
};

TEST_F(FolderTest, UnpacksFilesFoldersAndLinksInPiecesOfAnySize) {
  const std::string big(5000, 'b');
  const std::string archive = Entry("./", "", '5') + Entry("a.py", "one\n") + Entry("deep/er/run", big, '0', 0755) +
                              Entry("empty", "") + Entry("link", "a.py", '2') + kEndMark + std::string(8192, '\0');
  for (const std::size_t step : {1UL, 511UL, 512UL, 513UL, 100'000UL}) {
    const auto done = Unpack(archive, step);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(Read("a.py"), "one\n");
    EXPECT_EQ(Read("deep/er/run"), big);
    EXPECT_EQ(Read("link"), "one\n");
    struct stat status{};
    ASSERT_EQ(stat((folder_ + "/deep/er/run").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0555U);
    std::filesystem::remove_all(folder_);
    mkdir(folder_.c_str(), 0755);
  }
}

TEST_F(FolderTest, NothingIsMadeOutside) {
  for (const std::string& archive :
       {Entry("../out", "x"), Entry("/out", "x"), Entry("a/../../out", "x"),
        Entry("up", "..", '2') + Entry("up/out", "x"), Entry("up", outer_, '2') + Entry("up/out", "x"),
        Entry("up", outer_ + "/out", '2') + Entry("up", "", '5')}) {
    EXPECT_FALSE(Unpack(archive + kEndMark));
    EXPECT_FALSE(std::filesystem::exists(outer_ + "/out"));
  }
  // A file in the place of a link replaces the link and leaves its target alone.
  ASSERT_TRUE(Unpack(Entry("l", outer_ + "/out", '2') + Entry("l", "x") + kEndMark));
  EXPECT_FALSE(std::filesystem::exists(outer_ + "/out"));
}

TEST_F(FolderTest, RefusesWhatIsNotAnArchive) {
  EXPECT_FALSE(Unpack(""));
  EXPECT_FALSE(Unpack(std::string(512, 'x')));
  EXPECT_FALSE(Unpack(Entry("a", "x")));                 // no end
  EXPECT_FALSE(Unpack(Entry("a", "", '3') + kEndMark));  // a device
  EXPECT_FALSE(Unpack(Entry("a", "", '1') + kEndMark));  // a hard link
  EXPECT_FALSE(Unpack(Entry("", "x") + kEndMark));
  std::string damaged = Entry("a", "x") + kEndMark;
  damaged[3] = 'z';
  EXPECT_FALSE(Unpack(damaged));
}

TEST_F(FolderTest, CacheStoresAHashOnce) {
  CodeCache cache(folder_);
  const std::string archive = Entry("a.py", "x = 1\n") + kEndMark;
  const CodeHash hash(HashText(archive));
  ASSERT_TRUE(cache.Offer(hash, static_cast<std::int64_t>(archive.size())));
  EXPECT_EQ(cache.receiving(), hash);
  const auto half = cache.Feed(archive.substr(0, 700));
  ASSERT_TRUE(half);
  EXPECT_FALSE(*half);
  EXPECT_EQ(cache.Find(hash), nullptr);
  const auto whole = cache.Feed(archive.substr(700));
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_TRUE(*whole);
  ASSERT_NE(cache.Find(hash), nullptr);
  const std::string code = *cache.Find(hash);
  EXPECT_TRUE(std::filesystem::exists(code + "/a.py"));
  // Again, of other bytes: what is stored stays.
  const std::string other = Entry("b.py", "x = 2\n") + kEndMark;
  ASSERT_TRUE(cache.Offer(hash, static_cast<std::int64_t>(other.size())));
  EXPECT_TRUE(cache.Feed(other));
  EXPECT_EQ(*cache.Find(hash), code);
  EXPECT_TRUE(std::filesystem::exists(code + "/a.py"));
  const auto next = cache.NextFolder();
  ASSERT_TRUE(next);
  EXPECT_NE(*next, code);
  EXPECT_TRUE(std::filesystem::is_empty(*next));
  const CodeHash second(HashText(other));
  ASSERT_TRUE(cache.Offer(second, static_cast<std::int64_t>(other.size())));
  EXPECT_TRUE(cache.Feed(other));
  EXPECT_EQ(*cache.Find(second), *next);
  cache.Forget(hash);
  EXPECT_EQ(cache.Find(hash), nullptr);
  EXPECT_FALSE(std::filesystem::exists(code));
}

TEST_F(FolderTest, CacheKeepsNothingOfAFailedTransfer) {
  CodeCache cache(folder_);
  const std::string archive = Entry("a.py", "x = 1\n") + kEndMark;
  const auto size = static_cast<std::int64_t>(archive.size());
  const CodeHash hash(HashText(archive));
  ASSERT_TRUE(cache.Offer(hash, size));
  EXPECT_FALSE(cache.Feed(std::string(archive.size(), 'x'))) << "no archive";
  ASSERT_TRUE(cache.Offer(hash, size - 512));
  EXPECT_FALSE(cache.Feed(archive.substr(0, archive.size() - 512))) << "cut short";
  ASSERT_TRUE(cache.Offer(hash, size));
  EXPECT_FALSE(cache.Feed(archive + "x"));
  EXPECT_FALSE(cache.Feed("x")) << "no transfer is under way";
  ASSERT_TRUE(cache.Offer(hash, size));
  EXPECT_TRUE(cache.Feed(archive.substr(0, 700)));
  ASSERT_TRUE(cache.Offer(hash, size)) << "in the place of an unfinished one";
  EXPECT_FALSE(cache.Feed(archive + "x"));
  EXPECT_EQ(cache.Find(hash), nullptr);
  EXPECT_TRUE(std::filesystem::is_empty(*cache.NextFolder()));
  EXPECT_EQ(std::ranges::distance(std::filesystem::directory_iterator(folder_)), 1) << "one folder, used again";
  EXPECT_FALSE(cache.Offer(CodeHash("../x"), size));
  EXPECT_FALSE(cache.Offer(hash, 0));
  EXPECT_FALSE(cache.Offer(hash, static_cast<std::int64_t>(kMaxCodeBytes) + 1));
}

TEST(FieldsTest, ComeBackWholeInPiecesOfAnySize) {
  const std::string bytes = *EncodeFields({"run", "", std::string_view("\0\xff", 2)}) + *EncodeFields({});
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    FieldsReader reader;
    for (std::size_t at = 0; at < bytes.size(); at += step) ASSERT_TRUE(reader.Feed(bytes.substr(at, step)));
    EXPECT_THAT(reader.Next(), testing::Optional(testing::ElementsAre("run", "", std::string("\0\xff", 2))));
    EXPECT_THAT(reader.Next(), testing::Optional(testing::IsEmpty()));
    EXPECT_FALSE(reader.Next());
    EXPECT_TRUE(reader.empty());
  }
}

TEST(FieldsTest, LiesAreRefusedBeforeAnythingIsAllocated) {
  using std::string_literals::operator""s;
  for (const std::string& lie :
       {"\xff\xff\xff\xff"s, "\0\0\0\0"s, "\x04\0\0\0\xff\xff\xff\xff"s, "\x08\0\0\0\x01\0\0\0\xff\xff\xff\xff"s,
        "\x08\0\0\0\x02\0\0\0\0\0\0\0"s, "\x06\0\0\0\0\0\0\0zz"s}) {
    FieldsReader reader;
    EXPECT_FALSE(reader.Feed(lie));
  }
}

TEST(FieldsTest, WhatNoReaderTakesIsNotWritten) {
  EXPECT_FALSE(EncodeFields(std::vector<std::string_view>(kMaxFields + 1)));
  EXPECT_FALSE(EncodeFields({std::string(kMaxFieldsBytes, 'x')}));
  FieldsReader reader;
  EXPECT_TRUE(reader.Feed(*EncodeFields(std::vector<std::string_view>(kMaxFields))));
  EXPECT_TRUE(reader.Feed(*EncodeFields({std::string(kMaxFieldsBytes - 8, 'x')})));
}

// What the executor hears of an attempt whose runtime, or user code in its place, wrote `bytes`.
Ended HeardOf(const std::string& bytes) {
  FieldsReader reader;
  const auto fed = reader.Feed(bytes);
  const auto fields = reader.Next();
  std::optional<Answer> answer;
  if (fields) answer = ParseAnswer(*fields);
  if (!answer) answer = BrokenAnswer(fed ? Error{Code::kInvalid, "no answer"} : fed.error());
  Ended ended;
  ended.status = answer->status;
  ended.error_type = answer->type;
  ended.error_message = answer->message;
  ended.output = answer->output;
  ended.log_tail = std::string(kMaxLogTailBytes + 1, 'l');
  Bound(ended);
  std::string frame;
  EXPECT_TRUE(AppendGuestFrame(frame, {1, ended}));
  FrameReader frames;
  EXPECT_TRUE(frames.Feed(frame));
  const auto heard = DecodeGuestFrame(*frames.Next());
  EXPECT_TRUE(heard) << heard.error().message;
  return heard ? std::get<Ended>(heard->message) : Ended();
}

TEST(AnswerTest, WhateverIsWrittenInTheRuntimesPlaceCanBeTold) {
  using std::string_literals::operator""s;
  const auto answer = [](std::size_t bytes) { return EncodeFields({"ok 1 2", std::string(bytes, 'x')}).value_or(""); };
  EXPECT_EQ(HeardOf(answer(1)).output, "x");
  EXPECT_EQ(HeardOf(answer(kMaxOutputBytes)).status, Status::kOk);
  for (const std::size_t bytes : {kMaxOutputBytes + 1, std::size_t{1'100'000}, kMaxFieldsBytes - 18}) {
    const Ended ended = HeardOf(answer(bytes));
    EXPECT_EQ(ended.status, Status::kError) << bytes;
    EXPECT_EQ(ended.error_type, "result_too_large") << bytes;
    EXPECT_EQ(ended.output, "");
  }
  EXPECT_EQ(HeardOf("\x00\xe1\xf5\x05"s).error_type, "result_too_large") << "100 MB are announced";
  for (const std::string& garbage : {"\x01\0\0\0x"s, "\x04\0\0\0\0\0\0\0"s, "\x08\0\0\0\x01\0\0\0\xff\0\0\0"s}) {
    EXPECT_EQ(HeardOf(garbage).error_type, "invalid_answer");
  }
  const Ended cut = HeardOf(*EncodeFields({"error", std::string(1000, 't'), "a" + std::string(5000, '\xc3')}));
  EXPECT_EQ(cut.error_type.size(), kMaxIdentifierBytes);
  EXPECT_LE(cut.error_message.size(), kMaxErrorMessageBytes);
}

TEST(AnswerTest, TextsAreCutBetweenLetters) {
  std::string letters = "x";
  while (letters.size() < 2 * kMaxErrorMessageBytes) letters += "ä";
  const Ended ended = HeardOf(*EncodeFields({"error", letters, letters}));
  EXPECT_EQ(ended.error_type, letters.substr(0, kMaxIdentifierBytes - 1));
  EXPECT_EQ(ended.error_message, letters.substr(0, kMaxErrorMessageBytes - 1));
}

TEST(LogTailTest, KeepsTheEndAndCountsAll) {
  LogTail tail;
  for (int i = 0; i < 5000; ++i) tail.Append("0123456789");
  tail.Append("end");
  EXPECT_EQ(tail.total_bytes(), 50'003);
  const std::string kept = tail.Take();
  EXPECT_EQ(kept.size(), kMaxLogTailBytes);
  EXPECT_TRUE(kept.ends_with("89end"));
  EXPECT_EQ(tail.total_bytes(), 0);
  tail.Append(std::string(1 << 20, 'x'));
  EXPECT_EQ(tail.Take(), std::string(kMaxLogTailBytes, 'x'));
  EXPECT_EQ(tail.Take(), "");
}

TEST(IdentityTest, DiffersByMachineAndByContainer) {
  const Identity first = MakeIdentity("instance-1 secret", 1);
  EXPECT_EQ(first.machine_id.size(), 32U);
  EXPECT_EQ(first.machine_id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_TRUE(first.hostname.starts_with("fn-"));
  EXPECT_EQ(MakeIdentity("instance-1 secret", 1).machine_id, first.machine_id);
  for (const Identity& other : {MakeIdentity("instance-1 secret", 2), MakeIdentity("instance-2 secret", 1),
                                MakeIdentity("1 instance-1 secret", 1), MakeIdentity("", 1)}) {
    EXPECT_NE(other.machine_id, first.machine_id);
    EXPECT_NE(other.hostname, first.hostname);
  }
}

TEST(SeccompTest, ProgramIsWhole) {
  const auto program = BuildSeccompProgram();
  ASSERT_TRUE(program) << program.error().message;
  EXPECT_EQ(program->size() % 8, 0U);
  EXPECT_GT(program->size(), 1000U);
  EXPECT_LE(program->size() / 8, 4096U) << "more than the kernel takes";
}

}  // namespace
}  // namespace hearth::guest
