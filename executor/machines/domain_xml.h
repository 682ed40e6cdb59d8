// The libvirt domain of one machine, as XML, and the mark by which hearth knows its own. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace hearth::executor {

// The namespace of the mark in a domain's <metadata>.
constexpr std::string_view kMarkNamespace = "urn:hearth:machine:1";
constexpr std::string_view kMarkPrefix = "hearth";

enum class Acceleration : std::uint8_t { kTcg = 0, kKvm = 1 };
constexpr std::string_view AccelerationName(Acceleration acceleration) {
  return acceleration == Acceleration::kKvm ? "kvm" : "tcg";
}

// Whose a domain is. A domain without it belongs to somebody else and is never touched.
struct Mark {
  ExecutorId executor;
  std::string incarnation;
  MachineId machine;
  UserId user;  // empty: unassigned, in the pool
  std::string profile;
  friend bool operator==(const Mark&, const Mark&) = default;
};

// The account that QEMU runs under, where the executor is root.
struct MachineAccount {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

// The machine's memory as a file.
struct MemoryBacking {
  std::string path;     // as QEMU's account can open it
  bool shared = false;  // what the machine writes goes into the file; else it keeps copies of its own
};

struct DomainSpec {
  std::string name;
  Acceleration acceleration = Acceleration::kTcg;
  std::int32_t memory_mib = 512;
  std::int32_t vcpus = 1;
  std::string emulator = "/usr/bin/qemu-system-x86_64";
  std::string firmware = "/usr/share/qemu/qboot.rom";
  std::string kernel;  // uncompressed vmlinux
  std::string initrd;
  std::string cmdline;
  std::string root_image;  // squashfs, attached read-only as /dev/vda
  std::string socket;      // where the executor listens; QEMU connects
  std::optional<MachineAccount> account;
  std::optional<MemoryBacking> memory;  // else QEMU's own
  bool incoming = false;                // a shell: waits for a saved machine's state instead of booting a kernel
  Mark mark;
};

// q35, qboot, direct kernel boot, one virtio-serial channel named agent.0, one read-only disk, no network, no serial
// port, no USB, no balloon.
std::string BuildDomainXml(const DomainSpec& spec);

// SHA-256 of all that two machines must have in common for one to take the other's state: the domain without names,
// account, mark, and how it comes up.
std::string HashOfDevices(DomainSpec spec);

// The mark alone, for virDomainSetMetadata.
std::string BuildMarkXml(const Mark& mark);

// The saved domain of `xml` with the name, account, socket and mark of `spec`; its id is left to libvirt. kInvalid: not
// the domain of a machine.
Result<std::string> RenameDomainXml(std::string_view xml, const DomainSpec& spec, const std::string& uuid);

// The mark of a domain's XML. kNotFound: the domain has none; kInvalid: not XML, or a mark without executor,
// incarnation or machine.
Result<Mark> ReadMark(std::string_view domain_xml);

// "hearth-<machine>"; the machine id is unique for ever.
std::string DomainName(const MachineId& machine);

}  // namespace hearth::executor
