#include "tests/simulation/history.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace hearth::simulation {
namespace {

using ByOffset = std::map<std::pair<std::int32_t, std::int64_t>, std::string>;  // the id of a record

std::string NoLoss(const History& history) {
  std::set<std::string> ended;
  for (const auto& outcome : history.outcomes) ended.insert(outcome.id);
  for (const auto& sent : history.sent) {
    if (!ended.contains(sent.id)) return "request " + sent.id + " has neither reply nor dead letter";
  }
  return "";
}

std::string NothingFromNowhere(const History& history) {
  std::set<std::string> sent;
  for (const auto& each : history.sent) sent.insert(each.id);
  for (const auto& outcome : history.outcomes) {
    if (!sent.contains(outcome.id)) return "outcome of " + outcome.id + ", which nobody sent";
  }
  for (const auto& execution : history.executions) {
    if (!sent.contains(execution.id)) return "execution of " + execution.id + ", which nobody sent";
  }
  return "";
}

// A result whose Done died with its executor, and three more deaths after it, end as poison: nobody can know better,
// and readers keep the first result. So poison after a result is no contradiction.
std::set<std::string> Poisoned(const History& history) {
  std::set<std::string> ids;
  for (const auto& outcome : history.outcomes) {
    if (outcome.status == "poison") ids.insert(outcome.id);
  }
  return ids;
}

std::string OneVisibleResult(const History& history) {
  std::map<std::string, const Outcome*> first;
  for (const auto& outcome : history.outcomes) {
    if (outcome.dead_letter || outcome.status == "poison") continue;
    const auto [found, fresh] = first.emplace(outcome.id, &outcome);
    if (!fresh && (found->second->status != outcome.status || found->second->output != outcome.output)) {
      return "request " + outcome.id + " has two results that differ: " + found->second->status + " '" +
             found->second->output + "' and " + outcome.status + " '" + outcome.output + "'";
    }
  }
  return "";
}

std::string NotBoth(const History& history) {
  std::set<std::string> fine;
  for (const auto& outcome : history.outcomes) {
    if (!outcome.dead_letter && outcome.status == "ok") fine.insert(outcome.id);
  }
  for (const auto& id : Poisoned(history)) fine.erase(id);
  for (const auto& outcome : history.outcomes) {
    if (outcome.dead_letter && fine.contains(outcome.id))
      return "request " + outcome.id + " succeeded and is a dead letter";
  }
  return "";
}

std::string OneAtATime(const History& history) {
  auto runs = history.executions;
  std::sort(runs.begin(), runs.end(), [](const Execution& a, const Execution& b) {
    return std::tie(a.instance, a.container, a.begin_us) < std::tie(b.instance, b.container, b.begin_us);
  });
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const auto& a = runs[i - 1];
    const auto& b = runs[i];
    if (a.instance == b.instance && a.container == b.container && b.begin_us < a.end_us) {
      return "container " + a.instance + "/" + std::to_string(a.container) + " runs " + a.id + " and " + b.id +
             " at once";
    }
  }
  return "";
}

std::string OneUser(const History& history) {
  std::map<std::string, std::string> owner;
  for (const auto& run : history.executions) {
    const auto [found, fresh] = owner.emplace(run.instance, run.user);
    if (!fresh && found->second != run.user)
      return "instance " + run.instance + " served " + found->second + " and " + run.user;
  }
  return "";
}

std::string CommitSafety(const History& history) {
  ByOffset ids;
  for (const auto& sent : history.sent) ids[{sent.partition, sent.offset}] = sent.id;
  std::map<std::string, std::size_t> durable_at;  // index of the first outcome of the id
  for (std::size_t i = 0; i < history.outcomes.size(); ++i) durable_at.emplace(history.outcomes[i].id, i);
  const auto durable = [&](std::int32_t partition, std::int64_t offset, std::size_t before) {
    const auto id = ids.find({partition, offset});
    if (id == ids.end()) return true;  // a gap
    const auto at = durable_at.find(id->second);
    return at != durable_at.end() && at->second < before;
  };
  std::map<std::int32_t, std::int64_t> checked;  // below it all was found durable
  for (const auto& commit : history.commits) {
    auto& from = checked[commit.partition];
    for (; from < commit.offset; ++from) {
      if (!durable(commit.partition, from, commit.outcomes_before)) {
        return "commit " + std::to_string(commit.partition) + "@" + std::to_string(commit.offset) + " passes offset " +
               std::to_string(from) + ", whose outcome is not durable";
      }
    }
    for (const auto offset : commit.complete_above) {
      if (!durable(commit.partition, offset, commit.outcomes_before)) {
        return "the map of commit " + std::to_string(commit.partition) + "@" + std::to_string(commit.offset) +
               " claims offset " + std::to_string(offset) + ", whose outcome is not durable";
      }
    }
  }
  return "";
}

std::string Fencing(const History& history) {
  for (const auto& each : history.published) {
    if (each.epoch < each.seen_epoch) {
      return "result of " + each.id + " was published under epoch " + std::to_string(each.epoch) + " after " +
             std::to_string(each.seen_epoch) + " was seen";
    }
  }
  return "";
}

std::string Conservation(const History& history) {
  for (const auto& each : history.balances) {
    if (each.received != each.in_flight + each.complete) {
      return "received " + std::to_string(each.received) + " is not in flight " + std::to_string(each.in_flight) +
             " plus complete " + std::to_string(each.complete);
    }
  }
  return "";
}

}  // namespace

std::vector<Verdict> Check(const History& history) {
  return {{"no_loss", NoLoss(history)},
          {"nothing_from_nowhere", NothingFromNowhere(history)},
          {"one_visible_result", OneVisibleResult(history)},
          {"not_both", NotBoth(history)},
          {"one_at_a_time", OneAtATime(history)},
          {"one_user", OneUser(history)},
          {"commit_safety", CommitSafety(history)},
          {"fencing", Fencing(history)},
          {"conservation", Conservation(history)},
          {"liveness", history.quiescent ? "" : "the run was not over at its time-limit"}};
}

std::string Describe(const std::vector<Verdict>& verdicts) {
  std::string text;
  for (const auto& verdict : verdicts) {
    if (!verdict.example.empty()) text += verdict.name + ": " + verdict.example + "\n";
  }
  return text;
}

}  // namespace hearth::simulation
