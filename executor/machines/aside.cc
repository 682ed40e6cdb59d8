#include "executor/machines/aside.h"

#include <algorithm>
#include <utility>

#include "schemas/function.h"

namespace hearth::executor {
namespace {

bool RunsAll(const guest::Hello& hello) {
  return std::ranges::all_of(kRuntimes, [&hello](const RuntimeRow& row) {
    return std::ranges::find(hello.runtimes, row.name) != hello.runtimes.end();
  });
}

}  // namespace

Saving::Saving(Fleet& fleet, MachineId machine, const Profile& profile, Recorder& recorder, Done done)
    : fleet_(fleet), machine_(std::move(machine)), recorder_(recorder), done_(std::move(done)) {
  Fleet::Watch watch;
  watch.ready = [this](const std::string& domain, const guest::Hello& hello) { Ready(domain, hello); };
  watch.ended = [this](std::string reason) {
    if (!saving_ && nonce_.empty())
      outcome_ = Fail(Code::kUnavailable, std::move(reason));  // else what Save says counts
    fleet_.Destroy(machine_);
  };
  watch.destroyed = [this] {
    gone_ = true;
    TellWhenOver();
  };
  fleet_.StartAside(machine_, profile, recorder_, std::move(watch));
}

Saving::~Saving() {
  *alive_ = false;
}

void Saving::Ready(const std::string& domain, const guest::Hello& hello) {
  nonce_ = hello.boot_nonce;
  if (!RunsAll(hello)) {  // what it lacks, all that are made from it would lack
    outcome_ = Fail(Code::kUnavailable, "not every runtime ran in it");
    return fleet_.Destroy(machine_);
  }
  saving_ = true;
  recorder_.Save(domain, [this, alive = alive_](Result<void> saved) {
    if (*alive) Saved(std::move(saved));
  });
}

void Saving::Saved(Result<void> outcome) {
  saving_ = false;
  outcome_ = std::move(outcome);
  if (gone_) return TellWhenOver();
  fleet_.Destroy(machine_);
}

void Saving::TellWhenOver() {
  if (!gone_ || saving_) return;
  const auto done = std::move(done_);  // it may destroy this
  if (!outcome_) return done(std::unexpected(outcome_.error()));
  done(std::move(nonce_));
}

Trial::Trial(Fleet& fleet, MachineId machine, const Profile& profile, MachineStarter& starter, std::string nonce,
             Done done)
    : done_(std::move(done)) {
  Fleet::Watch watch;
  watch.ready = [this, &fleet, machine, nonce = std::move(nonce)](const std::string&, const guest::Hello& hello) {
    heard_ = true;
    if (hello.boot_nonce != nonce) outcome_ = Fail(Code::kInvalid, "what came up is not the machine that was saved");
    fleet.Destroy(machine);
  };
  watch.ended = [this, &fleet, machine](std::string reason) {
    if (heard_) return;
    outcome_ = Fail(Code::kUnavailable, std::move(reason));
    fleet.Destroy(machine);
  };
  watch.destroyed = [this] {
    const auto outcome = std::move(outcome_);
    std::exchange(done_, nullptr)(outcome);  // it may destroy this
  };
  fleet.StartAside(machine, profile, starter, std::move(watch));
}

}  // namespace hearth::executor
