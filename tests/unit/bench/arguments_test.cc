// The command line of a machine by hand, made from libvirt's log of the domain.
#include "tools/bench/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::bench {
namespace {

using testing::ElementsAre;

constexpr const char* kLog = R"(2026-11-24 10:00:00.000+0000: starting up libvirt version: 9.0.0
LC_ALL=C \
PATH=/usr/bin \
/usr/bin/qemu-system-x86_64 \
-name guest=older \
-chardev socket,id=charchannel0,path=/run/m0/agent.sock \
-msg timestamp=on
2026-11-24 10:00:01.000+0000: shutting down, reason=destroyed
2026-11-24 10:00:02.000+0000: starting up libvirt version: 9.0.0
LC_ALL=C \
/usr/bin/qemu-system-x86_64 \
-name guest=hearth-e-1,debug-threads=on \
-S \
-object '{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/lib/master-key.aes"}' \
-machine pc-q35-7.2,usb=off \
-append 'panic=-1 quiet' \
-nodefaults \
-chardev socket,id=charmonitor,fd=24,server=on,wait=off \
-mon chardev=charmonitor,id=monitor,mode=control \
-no-reboot \
-chardev socket,id=charchannel0,path=/run/m1/agent.sock \
-device '{"driver":"virtserialport","chardev":"charchannel0","name":"agent.0"}' \
-sandbox on,obsolete=deny \
-msg timestamp=on
char device redirected
)";

TEST(HandArguments, KeepsTheMachineAndDropsWhatIsLibvirts) {
  const auto arguments = HandArguments(kLog, "/tmp/mine.sock");
  ASSERT_TRUE(arguments) << arguments.error().message;
  EXPECT_THAT(*arguments, ElementsAre("/usr/bin/qemu-system-x86_64", "-name", "guest=hearth-e-1,debug-threads=on",
                                      "-machine", "pc-q35-7.2,usb=off", "-append", "panic=-1 quiet", "-nodefaults",
                                      "-no-reboot", "-chardev", "socket,id=charchannel0,path=/tmp/mine.sock", "-device",
                                      R"({"driver":"virtserialport","chardev":"charchannel0","name":"agent.0"})",
                                      "-sandbox", "on,obsolete=deny", "-msg", "timestamp=on"));
}

TEST(HandArguments, ALogWithoutAStartIsAnError) {
  EXPECT_FALSE(HandArguments("", "/s"));
  EXPECT_FALSE(HandArguments("2026-11-24: starting up libvirt version: 9.0.0\n", "/s"));
  EXPECT_FALSE(HandArguments("\n/usr/bin/qemu-system-x86_64 \\\n-name x \\\n-S\n", "/s")) << "no guest link";
}

}  // namespace
}  // namespace hearth::bench
