// The fields of the structs that more than one message carries (see schemas/codec.h).
#pragma once

#include "schemas/function.h"
#include "schemas/record.h"
#include "schemas/request.h"
#include "schemas/result.h"

namespace hearth {

constexpr std::uint8_t EnumSize(RequestForm) {
  return 5;
}

template <class A>
void Describe(A& a, PartitionId& m) {
  a("topic", m.topic)("partition", m.partition);
}
template <class A>
void Describe(A& a, Times& m) {
  a("enqueued", m.enqueued_us)("received", m.received_us)("placed", m.placed_us)("leased", m.leased_us)(
      "started", m.started_us)("ended", m.ended_us);
}
template <class A>
void Describe(A& a, Function& m) {
  a("user", m.user)("name", m.name)("version", m.version)("code", m.code)("code_bytes", m.code_bytes)(
      "runtime", m.runtime)("handler", m.handler)("memory_mib", m.memory_mib)("timeout_ms", m.timeout_ms)(
      "max_attempts", m.max_attempts)("max_age_ms", m.max_age_ms)("concurrency", m.concurrency)("profile", m.profile)(
      "environment", m.environment)("container_idle_s", m.container_idle_s);
}

}  // namespace hearth
