// The XML of a machine, and the mark by which hearth knows its own.
#include "executor/machines/domain_xml.h"

#include <gtest/gtest.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <memory>
#include <pugixml.hpp>
#include <string>

#include "common/base/handle.h"

namespace hearth::executor {
namespace {

DomainSpec Example(Acceleration acceleration) {
  DomainSpec spec;
  spec.name = DomainName(MachineId("executor-1.42"));
  spec.acceleration = acceleration;
  spec.memory_mib = 384;
  spec.vcpus = 2;
  spec.kernel = "/images/vmlinux";
  spec.initrd = "/images/initramfs.cpio";
  spec.root_image = "/images/root.squashfs";
  spec.cmdline = "panic=-1 quiet";
  spec.socket = "/run/hearth/m0/agent.sock";
  spec.mark = {ExecutorId("executor-1"), "0123456789abcdef", MachineId("executor-1.42"), UserId(), "default"};
  return spec;
}

pugi::xml_document Parse(const std::string& xml) {
  pugi::xml_document document;
  EXPECT_TRUE(document.load_string(xml.c_str()));
  return document;
}

// What libvirt's own schema says of it. The test driver then refuses the type, which is not asked here.
std::string SchemaFault(const std::string& xml) {
  const std::unique_ptr<virConnect, Deleter<virConnectClose>> connection(virConnectOpen("test:///default"));
  if (connection == nullptr) return "libvirt's test driver does not open";
  const std::unique_ptr<virDomain, Deleter<virDomainFree>> domain(
      virDomainDefineXMLFlags(connection.get(), xml.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
  const virErrorPtr error = virGetLastError();
  return error != nullptr && error->code == VIR_ERR_XML_INVALID_SCHEMA ? error->message : "";
}

TEST(DomainXml, IsValidForLibvirtWithAndWithoutKvm) {
  EXPECT_EQ(SchemaFault(BuildDomainXml(Example(Acceleration::kTcg))), "");
  EXPECT_EQ(SchemaFault(BuildDomainXml(Example(Acceleration::kKvm))), "");
  auto spec = Example(Acceleration::kTcg);
  spec.account = MachineAccount{1900000001, 108};
  EXPECT_EQ(SchemaFault(BuildDomainXml(spec)), "");
  EXPECT_NE(SchemaFault("<domain type='qemu'><name>x</name><nonsense/></domain>"), "") << "the check itself works";
}

std::vector<std::string> Arguments(const std::string& xml) {
  const auto document = Parse(xml);
  std::vector<std::string> arguments;
  for (const auto node : document.child("domain").child("qemu:commandline")) {
    arguments.emplace_back(node.attribute("value").value());
  }
  return arguments;
}

TEST(DomainXml, ATemplatesMemoryIsAFileThatItSharesAShellsIsItsOwnCopy) {
  auto spec = Example(Acceleration::kTcg);
  EXPECT_TRUE(Arguments(BuildDomainXml(spec)).empty());
  spec.memory = MemoryBacking{"/proc/7/fd/3", true};
  EXPECT_EQ(SchemaFault(BuildDomainXml(spec)), "");
  EXPECT_EQ(Arguments(BuildDomainXml(spec)),
            (std::vector<std::string>{
                "-object", "memory-backend-file,id=hearth-memory,size=402653184,mem-path=/proc/7/fd/3,share=on",
                "-machine", "memory-backend=hearth-memory"}));
  EXPECT_TRUE(Parse(BuildDomainXml(spec)).child("domain").child("os").child("kernel"));

  spec.memory->shared = false;
  spec.incoming = true;
  const auto shell = BuildDomainXml(spec);
  EXPECT_EQ(SchemaFault(shell), "");
  const auto arguments = Arguments(shell);
  ASSERT_EQ(arguments.size(), 6U);
  EXPECT_NE(arguments[1].find("share=off"), std::string::npos);
  EXPECT_EQ(arguments[4], "-incoming");
  EXPECT_EQ(arguments[5], "defer");
  EXPECT_FALSE(Parse(shell).child("domain").child("os").child("kernel")) << "nothing is booted";
}

TEST(DomainXml, TheHashOfDevicesIsThatOfWhatCountsForAState) {
  const auto spec = Example(Acceleration::kTcg);
  auto other = spec;
  other.name = "other";
  other.socket = "/elsewhere";
  other.account = MachineAccount{1, 2};
  other.memory = MemoryBacking{"/proc/7/fd/3", false};
  other.incoming = true;
  other.mark.machine = MachineId("other");
  EXPECT_EQ(HashOfDevices(spec), HashOfDevices(other));
  other.vcpus = 3;
  EXPECT_NE(HashOfDevices(spec), HashOfDevices(other));
  other = spec;
  other.cmdline += " more";
  EXPECT_NE(HashOfDevices(spec), HashOfDevices(other));
  EXPECT_NE(HashOfDevices(spec), HashOfDevices(Example(Acceleration::kKvm)));
}

TEST(DomainXml, ASavedDomainBecomesAnother) {
  auto saved = Example(Acceleration::kTcg);
  saved.account = MachineAccount{1900000001, 108};
  std::string xml = BuildDomainXml(saved);
  xml.insert(xml.find("<metadata"), "<uuid>11111111-1111-1111-1111-111111111111</uuid>");
  auto spec = saved;
  spec.name = "hearth-other";
  spec.socket = "/run/hearth/m9/agent.sock";
  spec.account = MachineAccount{1900000009, 108};
  spec.mark.machine = MachineId("other");
  const std::string uuid = "22222222-2222-2222-2222-222222222222";
  const auto renamed = RenameDomainXml(xml, spec, uuid);
  ASSERT_TRUE(renamed) << renamed.error().message;
  EXPECT_EQ(SchemaFault(*renamed), "");
  EXPECT_EQ(*ReadMark(*renamed), spec.mark);
  for (const auto* word : {"hearth-other", "m9/agent.sock", "+1900000009:+108", uuid.c_str()}) {
    EXPECT_NE(renamed->find(word), std::string::npos) << word;
  }
  for (const char* word : {"executor-1.42<", "m0/agent.sock", "1900000001", "11111111-"}) {
    EXPECT_EQ(renamed->find(word), std::string::npos) << word;
  }
  EXPECT_FALSE(RenameDomainXml("<domain/>", spec, uuid));
  EXPECT_FALSE(RenameDomainXml("no XML", spec, uuid));
}

TEST(DomainXml, EmulatedMachineHasRandomInstructionAndTranslationCache) {
  const auto document = Parse(BuildDomainXml(Example(Acceleration::kTcg)));
  const auto domain = document.child("domain");
  EXPECT_STREQ(domain.attribute("type").value(), "qemu");
  EXPECT_STREQ(domain.child("cpu").child_value("model"), "qemu64");
  EXPECT_STREQ(domain.child("cpu").child("feature").attribute("name").value(), "rdrand");
  EXPECT_TRUE(domain.child("features").child("tcg").child("tb-cache"));
}

TEST(DomainXml, AcceleratedMachineHasTheHostsProcessor) {
  const auto document = Parse(BuildDomainXml(Example(Acceleration::kKvm)));
  const auto domain = document.child("domain");
  EXPECT_STREQ(domain.attribute("type").value(), "kvm");
  EXPECT_STREQ(domain.child("cpu").attribute("mode").value(), "host-passthrough");
  EXPECT_FALSE(domain.child("features").child("tcg"));
}

TEST(DomainXml, NoMachineMayRunMachines) {
  for (const auto acceleration : {Acceleration::kTcg, Acceleration::kKvm}) {
    const auto document = Parse(BuildDomainXml(Example(acceleration)));
    const auto cpu = document.child("domain").child("cpu");
    for (const char* name : {"vmx", "svm"}) {
      const auto feature = cpu.find_child_by_attribute("feature", "name", name);
      EXPECT_STREQ(feature.attribute("policy").value(), "disable") << name;
    }
  }
}

TEST(DomainXml, HasTheAgentChannelTheReadOnlyDiskAndNothingElseToTheOutside) {
  const auto document = Parse(BuildDomainXml(Example(Acceleration::kTcg)));
  const auto devices = document.child("domain").child("devices");
  const auto channel = devices.child("channel");
  EXPECT_STREQ(channel.child("source").attribute("mode").value(), "connect");
  EXPECT_STREQ(channel.child("source").attribute("path").value(), "/run/hearth/m0/agent.sock");
  EXPECT_STREQ(channel.child("target").attribute("name").value(), "agent.0");
  EXPECT_STREQ(devices.child("disk").child("source").attribute("file").value(), "/images/root.squashfs");
  EXPECT_TRUE(devices.child("disk").child("readonly"));
  EXPECT_STREQ(devices.child("memballoon").attribute("model").value(), "none");
  for (const char* unwanted : {"interface", "serial", "console", "graphics", "hostdev", "filesystem"}) {
    EXPECT_FALSE(devices.child(unwanted)) << unwanted;
  }
}

TEST(DomainXml, AccountOfTheMachineIsAStaticLabelThatRelabelsNothing) {
  auto spec = Example(Acceleration::kTcg);
  EXPECT_FALSE(Parse(BuildDomainXml(spec)).child("domain").child("seclabel"));
  spec.account = MachineAccount{1900000001, 108};
  const auto document = Parse(BuildDomainXml(spec));
  const auto label = document.child("domain").child("seclabel");
  EXPECT_STREQ(label.attribute("model").value(), "dac");
  EXPECT_STREQ(label.attribute("relabel").value(), "no");
  EXPECT_STREQ(label.child_value("label"), "+1900000001:+108");
}

TEST(DomainXml, MarkIsReadBack) {
  const auto spec = Example(Acceleration::kTcg);
  const auto mark = ReadMark(BuildDomainXml(spec));
  ASSERT_TRUE(mark) << mark.error().message;
  EXPECT_EQ(*mark, spec.mark);
}

TEST(DomainXml, MarkIsEscaped) {
  auto spec = Example(Acceleration::kTcg);
  spec.mark.user = UserId("\"/></hearth:machine><evil a='&");
  const auto mark = ReadMark(BuildDomainXml(spec));
  ASSERT_TRUE(mark) << mark.error().message;
  EXPECT_EQ(mark->user, spec.mark.user);
}

TEST(DomainXml, MarkIsKnownUnderAnyPrefix) {
  const auto mark = ReadMark(
      "<domain><metadata><x:machine xmlns:x='urn:hearth:machine:1' owner='hearth' executor='e' incarnation='i' "
      "instance='n'/></metadata></domain>");
  ASSERT_TRUE(mark) << mark.error().message;
  EXPECT_EQ(mark->machine, MachineId("n"));
}

TEST(DomainXml, DomainsOfOthersHaveNoMark) {
  EXPECT_EQ(ReadMark("<domain><name>vm</name></domain>").error().code, Code::kNotFound);
  EXPECT_EQ(ReadMark("<domain><metadata><machine xmlns='urn:other' owner='hearth' executor='e' incarnation='i' "
                     "instance='n'/></metadata></domain>")
                .error()
                .code,
            Code::kNotFound);
  EXPECT_EQ(ReadMark("<domain><metadata><x:machine xmlns:x='urn:hearth:machine:1' owner='hearth' executor='e'/>"
                     "</metadata></domain>")
                .error()
                .code,
            Code::kInvalid);
  EXPECT_EQ(ReadMark("<domain").error().code, Code::kInvalid);
}

}  // namespace
}  // namespace hearth::executor
