// What to do about the domains that libvirt reports, compared with those the executor knows. Pure; any thread.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "executor/machines/domain_xml.h"

namespace hearth::executor {

// A domain that carries hearth's mark.
struct MarkedDomain {
  std::string name;
  Mark mark;
};

struct ReconcilePlan {
  std::vector<std::string> destroy;  // names of strays of this executor
  std::vector<std::string> missing;  // known as running, gone from libvirt
  friend bool operator==(const ReconcilePlan&, const ReconcilePlan&) = default;
};

// `known`: the domains of every machine and shell of this life, starting and being destroyed included. `running`: those
// of them whose start libvirt had confirmed before it was asked for `domains`. A stray is a domain of this executor
// from an earlier life (its link died with the process that held it, so nobody could talk to it), or one of this life
// that nobody knows. Names decide, not marks: a shell's mark follows a moment after it became somebody's machine.
// Domains of other executors are never named.
ReconcilePlan Reconcile(const std::vector<MarkedDomain>& domains, const ExecutorId& executor,
                        const std::string& incarnation, const std::set<std::string>& known,
                        const std::set<std::string>& running);

}  // namespace hearth::executor
