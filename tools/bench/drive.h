// Keeps records under way to somebody who answers each on another topic with the same key: what a peer of hearth takes
// and how long.
#pragma once

#include <string>

namespace hearth::bench {

struct DriveOptions {
  std::string bootstrap;
  std::string requests;
  std::string replies;
  bool create = false;  // makes the topics, and nothing else
  double seconds = 10;
  int in_flight = 1;
};

// Prints one line of JSON. Returns the exit code: 1 where something was not answered.
int RunDrive(const DriveOptions& options);

}  // namespace hearth::bench
