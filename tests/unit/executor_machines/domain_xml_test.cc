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
  spec.name = DomainName(InstanceId("executor-1.42"));
  spec.acceleration = acceleration;
  spec.memory_mib = 384;
  spec.vcpus = 2;
  spec.kernel = "/images/vmlinux";
  spec.initrd = "/images/initramfs.cpio";
  spec.root_image = "/images/root.squashfs";
  spec.cmdline = "panic=-1 quiet";
  spec.socket = "/run/hearth/m0/agent.sock";
  spec.mark = {ExecutorId("executor-1"), "0123456789abcdef", InstanceId("executor-1.42"), UserId(), "default"};
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
  EXPECT_EQ(mark->instance, InstanceId("n"));
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
