#include "executor/machines/domain_xml.h"

#include <fmt/format.h>

#include <pugixml.hpp>
#include <sstream>

#include "common/base/sha256.h"

namespace hearth::executor {
namespace {

constexpr const char* kQemuNamespace = "http://libvirt.org/schemas/domain/qemu/1.0";
constexpr const char* kMemoryId = "hearth-memory";
constexpr int kTranslationCacheMib = 64;  // of emulated code; QEMU's own default is a quarter of the guest's memory

pugi::xml_node AddText(pugi::xml_node parent, const char* name, const std::string& text) {
  auto node = parent.append_child(name);
  node.text().set(text.c_str());
  return node;
}

pugi::xml_node AddWith(pugi::xml_node parent, const char* name, const char* attribute, const std::string& value) {
  auto node = parent.append_child(name);
  node.append_attribute(attribute).set_value(value.c_str());
  return node;
}

// On the root bus: a port of its own for each device would cost the guest a scan.
void AddPciAddress(pugi::xml_node device, const char* slot) {
  auto address = AddWith(device, "address", "type", "pci");
  address.append_attribute("domain") = "0x0000";
  address.append_attribute("bus") = "0x00";
  address.append_attribute("slot") = slot;
  address.append_attribute("function") = "0x0";
}

void AddMark(pugi::xml_node parent, const Mark& mark) {
  auto node = parent.append_child("hearth:machine");
  node.append_attribute("xmlns:hearth") = std::string(kMarkNamespace).c_str();
  node.append_attribute("owner") = "hearth";
  node.append_attribute("executor") = mark.executor.value.c_str();
  node.append_attribute("incarnation") = mark.incarnation.c_str();
  node.append_attribute("instance") = mark.machine.value.c_str();
  node.append_attribute("user") = mark.user.value.c_str();
  node.append_attribute("profile") = mark.profile.c_str();
}

// No machine of ours runs machines: what a nested hypervisor needs of the host's KVM is code that no guest reaches.
void MaskNesting(pugi::xml_node cpu) {
  for (const char* name : {"vmx", "svm"}) {
    AddWith(cpu, "feature", "policy", "disable").append_attribute("name") = name;
  }
}

void AddProcessor(pugi::xml_node domain, Acceleration acceleration) {
  auto features = domain.append_child("features");
  features.append_child("acpi");
  features.append_child("apic");
  if (acceleration == Acceleration::kKvm) {
    auto cpu = AddWith(domain, "cpu", "mode", "host-passthrough");
    cpu.append_attribute("check") = "none";
    cpu.append_attribute("migratable") = "on";  // else the machine cannot be saved
    MaskNesting(cpu);
    return;
  }
  auto cache = features.append_child("tcg").append_child("tb-cache");
  cache.append_attribute("unit") = "MiB";
  cache.text().set(kTranslationCacheMib);
  auto cpu = AddWith(domain, "cpu", "mode", "custom");
  cpu.append_attribute("match") = "exact";
  cpu.append_attribute("check") = "none";
  AddText(cpu, "model", "qemu64").append_attribute("fallback") = "allow";
  auto feature = AddWith(cpu, "feature", "policy", "require");
  feature.append_attribute("name") = "rdrand";  // else the guest's random generator never becomes ready
  MaskNesting(cpu);
}

void AddDevices(pugi::xml_node domain, const DomainSpec& spec) {
  auto devices = domain.append_child("devices");
  AddText(devices, "emulator", spec.emulator);

  auto usb = AddWith(devices, "controller", "type", "usb");
  usb.append_attribute("model") = "none";

  auto serial = AddWith(devices, "controller", "type", "virtio-serial");
  serial.append_attribute("index") = 0;
  serial.append_attribute("ports") = 2;
  AddPciAddress(serial, "0x01");

  auto channel = AddWith(devices, "channel", "type", "unix");
  auto source = AddWith(channel, "source", "mode", "connect");
  source.append_attribute("path") = spec.socket.c_str();
  auto target = AddWith(channel, "target", "type", "virtio");
  target.append_attribute("name") = "agent.0";

  auto disk = AddWith(devices, "disk", "type", "file");
  disk.append_attribute("device") = "disk";
  auto driver = AddWith(disk, "driver", "name", "qemu");
  driver.append_attribute("type") = "raw";
  AddWith(disk, "source", "file", spec.root_image);
  auto disk_target = AddWith(disk, "target", "dev", "vda");
  disk_target.append_attribute("bus") = "virtio";
  disk.append_child("readonly");
  AddPciAddress(disk, "0x02");

  AddWith(devices, "memballoon", "model", "none");
}

// What libvirt has no words for. Its own memory object stays unused: the later argument wins.
void AddMemoryAndState(pugi::xml_node domain, const DomainSpec& spec) {
  if (!spec.memory && !spec.incoming) return;
  auto arguments = domain.append_child("qemu:commandline");
  const auto add = [&arguments](const std::string& value) { AddWith(arguments, "qemu:arg", "value", value); };
  if (spec.memory) {
    add("-object");
    add(fmt::format("memory-backend-file,id={},size={},mem-path={},share={}", kMemoryId,
                    static_cast<std::int64_t>(spec.memory_mib) << 20, spec.memory->path,
                    spec.memory->shared ? "on" : "off"));
    add("-machine");
    add(fmt::format("memory-backend={}", kMemoryId));
  }
  if (spec.incoming) {
    add("-incoming");
    add("defer");
  }
}

void AddAccount(pugi::xml_node domain, const MachineAccount& account) {
  // No relabelling: the image is shared by all machines and stays root's; only the process changes its account.
  auto label = AddWith(domain, "seclabel", "type", "static");
  label.append_attribute("model") = "dac";
  label.append_attribute("relabel") = "no";
  AddText(label, "label", fmt::format("+{}:+{}", account.uid, account.gid));
}

std::string Print(const pugi::xml_document& document) {
  std::ostringstream text;
  document.save(text, "  ", pugi::format_default | pugi::format_no_declaration);
  return text.str();
}

}  // namespace

std::string BuildDomainXml(const DomainSpec& spec) {
  pugi::xml_document document;
  auto domain = AddWith(document, "domain", "type", spec.acceleration == Acceleration::kKvm ? "kvm" : "qemu");
  domain.append_attribute("xmlns:qemu") = kQemuNamespace;
  AddText(domain, "name", spec.name);
  AddMark(domain.append_child("metadata"), spec.mark);
  AddText(domain, "memory", std::to_string(spec.memory_mib)).append_attribute("unit") = "MiB";
  AddText(domain, "vcpu", std::to_string(spec.vcpus));

  auto os = domain.append_child("os");
  auto type = AddText(os, "type", "hvm");
  type.append_attribute("arch") = "x86_64";
  type.append_attribute("machine") = "q35";
  AddText(os, "loader", spec.firmware).append_attribute("type") = "rom";
  if (!spec.incoming) {
    AddText(os, "kernel", spec.kernel);
    AddText(os, "initrd", spec.initrd);
    AddText(os, "cmdline", spec.cmdline);
  }

  AddProcessor(domain, spec.acceleration);
  AddWith(domain, "clock", "offset", "utc");
  AddText(domain, "on_poweroff", "destroy");
  AddText(domain, "on_reboot", "destroy");
  AddText(domain, "on_crash", "destroy");
  AddDevices(domain, spec);

  if (spec.account) AddAccount(domain, *spec.account);

  // Without this capability libvirt does not ask QEMU for every CPU feature by name: some 400 monitor commands and
  // half a second less for each start.
  AddWith(domain.append_child("qemu:capabilities"), "qemu:del", "capability", "cpu-unavailable-features");
  AddMemoryAndState(domain, spec);
  return Print(document);
}

std::string HashOfDevices(DomainSpec spec) {
  spec.name.clear();
  spec.socket.clear();
  spec.account.reset();
  spec.memory.reset();
  spec.incoming = false;
  spec.mark = Mark();
  return Sha256Hex(BuildDomainXml(spec));
}

Result<std::string> RenameDomainXml(std::string_view xml, const DomainSpec& spec, const std::string& uuid) {
  pugi::xml_document document;
  if (const auto parsed = document.load_buffer(xml.data(), xml.size()); !parsed) {
    return Fail(Code::kInvalid, fmt::format("domain XML: {}", parsed.description()));
  }
  auto domain = document.child("domain");
  auto source = domain.child("devices").child("channel").child("source");
  if (!domain.child("name") || !domain.child("uuid") || !domain.child("metadata") || !source) {
    return Fail(Code::kInvalid, "the saved domain is not one of ours");
  }
  domain.child("name").text().set(spec.name.c_str());
  domain.child("uuid").text().set(uuid.c_str());
  auto metadata = domain.child("metadata");
  metadata.remove_children();
  AddMark(metadata, spec.mark);
  source.attribute("path").set_value(spec.socket.c_str());
  while (domain.remove_child("seclabel")) {}
  if (spec.account) AddAccount(domain, *spec.account);
  std::ostringstream text;  // without white space: it has to fit where the old one was
  document.save(text, "", pugi::format_raw | pugi::format_no_declaration);
  return text.str();
}

std::string BuildMarkXml(const Mark& mark) {
  pugi::xml_document document;
  AddMark(document, mark);
  // virDomainSetMetadata adds the prefix and the namespace itself.
  auto node = document.first_child();
  node.set_name("machine");
  node.remove_attribute("xmlns:hearth");
  std::ostringstream text;
  document.save(text, "", pugi::format_raw | pugi::format_no_declaration);
  return text.str();
}

Result<Mark> ReadMark(std::string_view domain_xml) {
  pugi::xml_document document;
  if (const auto parsed = document.load_buffer(domain_xml.data(), domain_xml.size()); !parsed) {
    return Fail(Code::kInvalid, fmt::format("domain XML: {}", parsed.description()));
  }
  for (const auto node : document.child("domain").child("metadata").children()) {
    const std::string_view name = node.name();
    const auto colon = name.find(':');
    const std::string declaration =
        colon == std::string_view::npos ? "xmlns" : "xmlns:" + std::string(name.substr(0, colon));
    const auto local = colon == std::string_view::npos ? name : name.substr(colon + 1);
    if (local != "machine" || node.attribute(declaration.c_str()).value() != kMarkNamespace) continue;
    if (node.attribute("owner").value() != std::string_view("hearth")) continue;
    Mark mark{ExecutorId(node.attribute("executor").value()), node.attribute("incarnation").value(),
              MachineId(node.attribute("instance").value()), UserId(node.attribute("user").value()),
              node.attribute("profile").value()};
    if (mark.executor.empty() || mark.incarnation.empty() || mark.machine.empty()) {
      return Fail(Code::kInvalid, "the mark lacks executor, incarnation or instance");
    }
    return mark;
  }
  return Fail(Code::kNotFound, "no mark");
}

std::string DomainName(const MachineId& machine) {
  return "hearth-" + machine.value;
}

}  // namespace hearth::executor
