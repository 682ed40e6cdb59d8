// What a machine that is saved on this host now depends on (Binding in saved_machine.h).
#pragma once

#include "executor/core/core.h"
#include "executor/machines/domain_xml.h"
#include "executor/machines/image.h"
#include "executor/machines/saved_machine.h"

struct _virConnect;

namespace hearth::executor {

// All but the versions of QEMU and libvirt, which libvirt has to be asked for.
Binding BindingOnThisHost(Way way, const MachineImage& image, Acceleration acceleration, const Profile& profile);
// The rest. Blocks.
Result<void> AddVersions(_virConnect* connection, Binding& binding);

}  // namespace hearth::executor
