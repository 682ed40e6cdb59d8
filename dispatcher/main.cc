// hearth-dispatcher: decides which executor runs what. Exit codes: 0 drained, 1 could not go on, 2 bad usage or
// configuration, 3 another dispatcher has its id.
#include <memory>
#include <utility>

#include "common/daemon/run.h"
#include "dispatcher/app.h"
#include "dispatcher/config.h"

namespace {

using namespace hearth;

std::expected<std::unique_ptr<Daemon>, Exit> Make(Loop& loop, dispatcher::Config config, Logger log) {
  return std::make_unique<dispatcher::App>(loop, std::move(config), std::move(log));
}

}  // namespace

int main(int argc, char** argv) {
  const DaemonProgram<dispatcher::Config> program{
      {"dispatcher", "places invocations that arrive on Kafka", HEARTH_VERSION, dispatcher::ConfigChapter},
      dispatcher::LoadConfig,
      Make};
  return RunDaemon(program, argc, argv);
}
