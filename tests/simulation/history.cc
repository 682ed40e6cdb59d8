#include "tests/simulation/history.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <tuple>

namespace hearth::simulation {
namespace {

using ByOffset = std::map<std::pair<std::int32_t, std::int64_t>, const Sent*>;

std::map<std::string, const Sent*> ById(const History& history) {
  std::map<std::string, const Sent*> ids;
  for (const auto& sent : history.sent) ids[sent.id] = &sent;
  return ids;
}

// Items lie in no log that is committed.
ByOffset Requests(const History& history) {
  ByOffset records;
  for (const auto& sent : history.sent) {
    if (!sent.item) records[{sent.partition, sent.offset}] = &sent;
  }
  return records;
}

bool Touches(const SetBack& back, const Sent& sent) {
  return !sent.item && back.partition == sent.partition && sent.offset >= back.offset;
}

// How often the record was ordered to run again before that time.
int EraAt(const History& history, const Sent& sent, std::int64_t at_us) {
  return static_cast<int>(std::count_if(history.set_backs.begin(), history.set_backs.end(), [&](const SetBack& back) {
    return Touches(back, sent) && back.at_us <= at_us;
  }));
}

int EraOfOutcome(const History& history, const Sent& sent, std::size_t index) {
  return static_cast<int>(std::count_if(history.set_backs.begin(), history.set_backs.end(), [&](const SetBack& back) {
    return Touches(back, sent) && back.outcomes_before <= index;
  }));
}

bool Died(const History& history, const std::string& executor, std::int64_t from_us, std::int64_t to_us) {
  return std::any_of(history.deaths.begin(), history.deaths.end(), [&](const Death& death) {
    return death.executor == executor && death.at_us >= from_us && death.at_us <= to_us;
  });
}

bool WasCutOff(const History& history, const std::string& executor, std::int64_t from_us, std::int64_t to_us) {
  return std::any_of(history.cut_offs.begin(), history.cut_offs.end(), [&](const CutOff& cut) {
    return cut.executor == executor && cut.from_us <= to_us && cut.to_us >= from_us;
  });
}

// What the executor did with it may be unknown to everybody at that time, and rightly.
bool MayBeUnknown(const History& history, const Execution& run, std::int64_t at_us) {
  return run.killed || (run.unheard && run.end_us <= at_us) || Died(history, run.executor, run.begin_us, at_us) ||
         WasCutOff(history, run.executor, run.begin_us, at_us);
}

// The executions of each record within one era, in the order in which they began.
using Era = std::pair<std::string, int>;
std::map<Era, std::vector<const Execution*>> ByEra(const History& history) {
  const auto ids = ById(history);
  std::map<Era, std::vector<const Execution*>> eras;
  for (const auto& run : history.executions) {
    const auto sent = ids.find(run.id);
    const std::int64_t at_us = run.ordered_us < 0 ? run.begin_us : run.ordered_us;
    if (sent != ids.end()) eras[{run.id, EraAt(history, *sent->second, at_us)}].push_back(&run);
  }
  for (auto& [era, runs] : eras) {
    std::stable_sort(runs.begin(), runs.end(), [](const auto* a, const auto* b) { return a->begin_us < b->begin_us; });
  }
  return eras;
}

std::string NoLoss(const History& history) {
  std::map<std::string, std::size_t> last;
  for (std::size_t i = 0; i < history.outcomes.size(); ++i) last[history.outcomes[i].id] = i;
  for (const auto& sent : history.sent) {
    if (sent.item) continue;  // what became of it stands in its batch
    if (history.deleted.contains(sent.partition) || history.removed.contains({sent.partition, sent.offset})) continue;
    const auto found = last.find(sent.id);
    if (found == last.end()) return "request " + sent.id + " has neither reply nor dead letter";
    if (EraOfOutcome(history, sent, found->second) != EraAt(history, sent, INT64_MAX))
      return "request " + sent.id + " did not end again after its offset was set back";
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

// A result whose Done died with its executor is known to nobody: what the dispatcher says of the record later (poison,
// attempt_lost, expired) is no contradiction, and readers keep the first result.
std::set<std::string> Forgotten(const History& history) {
  std::set<std::string> ids;
  for (const auto& run : history.executions) {
    if (MayBeUnknown(history, run, INT64_MAX)) ids.insert(run.id);
  }
  return ids;
}

std::string OneVisibleResult(const History& history) {
  const auto sent = ById(history);
  const auto forgotten = Forgotten(history);
  const auto runs = ByEra(history);
  std::map<Era, const Outcome*> first;
  for (std::size_t i = 0; i < history.outcomes.size(); ++i) {
    const Outcome& outcome = history.outcomes[i];
    if (outcome.dead_letter || outcome.deposed || (outcome.given_up && forgotten.contains(outcome.id))) continue;
    const auto record = sent.find(outcome.id);
    if (record == sent.end()) continue;
    const Era era{outcome.id, EraOfOutcome(history, *record->second, i)};
    // The result of a run that began before the offset was set back may become durable only after that.
    if (era.second > 0 && !outcome.given_up && !runs.contains(era)) continue;
    const auto [found, fresh] = first.emplace(era, &outcome);
    if (!fresh && (found->second->status != outcome.status || found->second->output != outcome.output)) {
      return "request " + outcome.id + " has two results that differ: " + found->second->status + " '" +
             found->second->output + "' and " + outcome.status + " '" + outcome.output + "'";
    }
  }
  return "";
}

std::string NotBoth(const History& history) {
  const auto sent = ById(history);
  const auto forgotten = Forgotten(history);
  std::set<Era> fine;
  const auto era = [&](std::size_t index) {
    const std::string& id = history.outcomes[index].id;
    const auto record = sent.find(id);
    return Era{id, record == sent.end() ? 0 : EraOfOutcome(history, *record->second, index)};
  };
  for (std::size_t i = 0; i < history.outcomes.size(); ++i) {
    const Outcome& outcome = history.outcomes[i];
    if (!outcome.dead_letter && outcome.status == "ok" && !forgotten.contains(outcome.id)) fine.insert(era(i));
  }
  for (std::size_t i = 0; i < history.outcomes.size(); ++i) {
    const Outcome& outcome = history.outcomes[i];
    if (outcome.dead_letter && !outcome.deposed && fine.contains(era(i)))
      return "request " + outcome.id + " succeeded and is a dead letter";
  }
  return "";
}

std::string OneAtATime(const History& history) {
  auto runs = history.executions;
  std::sort(runs.begin(), runs.end(), [](const Execution& a, const Execution& b) {
    return std::tie(a.machine, a.container, a.begin_us) < std::tie(b.machine, b.container, b.begin_us);
  });
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const auto& a = runs[i - 1];
    const auto& b = runs[i];
    if (a.machine == b.machine && a.container == b.container && b.begin_us < a.end_us) {
      return "container " + a.machine + "/" + std::to_string(a.container) + " runs " + a.id + " and " + b.id +
             " at once";
    }
  }
  return "";
}

std::string OneUser(const History& history) {
  std::map<std::string, std::string> owner;
  for (const auto& run : history.executions) {
    const auto [found, fresh] = owner.emplace(run.machine, run.user);
    if (!fresh && found->second != run.user)
      return "instance " + run.machine + " served " + found->second + " and " + run.user;
  }
  return "";
}

std::string CommitSafety(const History& history) {
  const ByOffset records = Requests(history);
  std::map<Era, std::size_t> durable_at;  // index of the first outcome
  const auto ids = ById(history);
  for (std::size_t i = 0; i < history.outcomes.size(); ++i) {
    const auto sent = ids.find(history.outcomes[i].id);
    if (sent != ids.end()) durable_at.emplace(Era{sent->first, EraOfOutcome(history, *sent->second, i)}, i);
  }
  std::map<std::int32_t, std::int64_t> checked;  // below it all was found durable
  std::size_t index = 0;
  const auto era_of = [&](const Sent& sent) {
    return static_cast<int>(std::count_if(history.set_backs.begin(), history.set_backs.end(), [&](const SetBack& back) {
      return Touches(back, sent) && back.commits_before <= index;
    }));
  };
  const auto durable = [&](std::int32_t partition, std::int64_t offset, std::size_t before) {
    const auto record = records.find({partition, offset});
    if (record == records.end() || history.removed.contains({partition, offset})) return true;  // a gap
    const auto at = durable_at.find({record->second->id, era_of(*record->second)});
    return at != durable_at.end() && at->second < before;
  };
  for (; index < history.commits.size(); ++index) {
    const auto& commit = history.commits[index];
    auto& from = checked[commit.partition];
    for (const auto& back : history.set_backs) {
      if (back.partition == commit.partition && back.commits_before == index) from = std::min(from, back.offset);
    }
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

// The same of ledger pages, which tell of records that no commit has room for.
std::string PageSafety(const History& history) {
  const ByOffset records = Requests(history);
  std::map<std::string, std::size_t> durable_at;  // index of the first outcome
  for (std::size_t i = 0; i < history.outcomes.size(); ++i) durable_at.emplace(history.outcomes[i].id, i);
  for (const PageClaim& page : history.pages) {
    for (const std::int64_t offset : page.complete) {
      const auto record = records.find({page.partition, offset});
      if (record == records.end() || history.removed.contains({page.partition, offset})) continue;  // a gap
      const auto at = durable_at.find(record->second->id);
      if (at != durable_at.end() && at->second < page.outcomes_before) continue;
      return "a ledger page of " + std::to_string(page.partition) + " claims offset " + std::to_string(offset) +
             ", whose outcome is not durable";
    }
  }
  return "";
}

std::string Seconds(std::int64_t at_us) {
  return std::to_string(at_us / 1'000'000) + "." + std::to_string(at_us / 1000 % 1000 + 1000).substr(1) + " s";
}

std::string Describe(const Execution& run) {
  return run.machine + " from " + Seconds(run.begin_us) + " to " + Seconds(run.end_us);
}

// A record runs again only where a try failed and more are owed, or where what became of the last run may be unknown.
std::string NoNeedlessRepeat(const History& history) {
  const auto ids = ById(history);
  for (const auto& [era, runs] : ByEra(history)) {
    const Sent& sent = *ids.at(era.first);
    int failures = 0;
    for (std::size_t i = 1; i < runs.size(); ++i) {
      const Execution& last = *runs[i - 1];
      const Execution& next = *runs[i];
      const bool retry = last.failed && next.begin_us >= last.end_us;
      if (MayBeUnknown(history, last, next.begin_us)) {
        failures = 0;  // nobody need know of them
        continue;
      }
      if (retry && ++failures < sent.max_attempts) continue;
      if (sent.max_attempts > 1 && history.placed_by_deposed.contains(sent.id)) continue;
      if (history.batches.forgotten_completions.contains(era.first)) continue;
      return "request " + era.first + " ran again in " + Describe(next) + ", and nothing had become of " +
             Describe(last) + " that allows it";
    }
  }
  return "";
}

// Where its executor is gone and the one dispatcher that knew of the attempt too, nobody can know that it ran.
std::string AtMostOnce(const History& history) {
  const auto ids = ById(history);
  const auto taken_over = [&](std::int32_t partition, std::int64_t from_us, std::int64_t to_us) {
    return std::any_of(history.takeovers.begin(), history.takeovers.end(), [&](const Takeover& each) {
      return each.partition == partition && each.at_us >= from_us && each.at_us <= to_us;
    });
  };
  for (const auto& [era, runs] : ByEra(history)) {
    const Sent& sent = *ids.at(era.first);
    if (sent.max_attempts != 1 || history.batches.forgotten_completions.contains(era.first)) continue;
    for (std::size_t i = 1; i < runs.size(); ++i) {
      const Execution& last = *runs[i - 1];
      const auto until_us = runs[i]->begin_us;
      const bool gone = Died(history, last.executor, last.begin_us, until_us) ||
                        WasCutOff(history, last.executor, last.begin_us, until_us);
      const bool is_taken =
          taken_over(sent.partition, last.begin_us, until_us) || history.placed_after_loss.contains(sent.id);
      if (gone && is_taken) continue;
      // It was sent before the offset was set back, read after it, and ended because of it.
      if (last.unheard && last.end_us <= until_us && era.second > 0) continue;
      return "request " + era.first + " may run once and ran in " + Describe(last) + " and in " + Describe(*runs[i]);
    }
  }
  return "";
}

// Of a user's records with the same order key only one runs at a time, and none before an earlier one is done with.
std::string Order(const History& history) {
  struct Line {
    const Sent* sent = nullptr;
    const std::vector<const Execution*>* runs = nullptr;
  };
  const auto ids = ById(history);
  const auto eras = ByEra(history);
  std::map<std::tuple<std::int32_t, std::string, std::string, int>, std::vector<Line>> keys;
  for (const auto& [era, runs] : eras) {
    const Sent& sent = *ids.at(era.first);
    if (!sent.order_key.empty() && !history.removed.contains({sent.partition, sent.offset}))
      keys[{sent.partition, sent.user, sent.order_key, era.second}].push_back({&sent, &runs});
  }
  for (auto& [key, lines] : keys) {
    std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.sent->offset < b.sent->offset; });
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const Execution& later = *lines[i].runs->front();
      const auto& earlier = *lines[i - 1].runs;
      bool begun_anew = false;  // nobody need know of the former tries, and all of them may come again
      for (std::size_t k = 0; k < earlier.size(); ++k) {
        begun_anew = begun_anew || (k > 0 && MayBeUnknown(history, *earlier[k - 1], earlier[k]->begin_us));
        const bool before = earlier[k]->begin_us < later.begin_us && earlier[k]->end_us <= later.begin_us;
        if (before || begun_anew || MayBeUnknown(history, *earlier[k], later.begin_us)) continue;
        return "request " + lines[i].sent->id + " ran in " + Describe(later) + " before " + lines[i - 1].sent->id +
               " of the same key was done with: " + Describe(*earlier[k]);
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

std::string EveryWakeUp(const History& history) {
  if (history.missed_wakeups == 0) return "";
  return std::to_string(history.missed_wakeups) + " times something slept that could have been placed";
}

}  // namespace

std::vector<Verdict> Check(const History& history) {
  std::vector<Verdict> verdicts = {{"no_loss", NoLoss(history)},
                                   {"nothing_from_nowhere", NothingFromNowhere(history)},
                                   {"one_visible_result", OneVisibleResult(history)},
                                   {"not_both", NotBoth(history)},
                                   {"one_at_a_time", OneAtATime(history)},
                                   {"one_user", OneUser(history)},
                                   {"commit_safety", CommitSafety(history)},
                                   {"page_safety", PageSafety(history)},
                                   {"no_needless_repeat", NoNeedlessRepeat(history)},
                                   {"at_most_once", AtMostOnce(history)},
                                   {"order", Order(history)},
                                   {"fencing", Fencing(history)},
                                   {"readable_frames", history.unreadable_frame},
                                   {"conservation", Conservation(history)},
                                   {"every_wake_up", EveryWakeUp(history)},
                                   {"liveness", history.quiescent ? "" : "the run was not over at its time-limit"}};
  for (auto& [name, example] : CheckBatches(history)) verdicts.push_back({name, std::move(example)});
  return verdicts;
}

std::string Describe(const std::vector<Verdict>& verdicts) {
  std::string text;
  for (const auto& verdict : verdicts) {
    if (!verdict.example.empty()) text += verdict.name + ": " + verdict.example + "\n";
  }
  return text;
}

Starts StartsSince(const History& history, std::int64_t from_us) {
  Starts starts;
  for (const auto& outcome : history.outcomes) {
    if (outcome.dead_letter || outcome.at_us < from_us || outcome.path.empty() || outcome.path == "none") continue;
    ++starts.paths[outcome.path];
    ++starts.count;
  }
  return starts;
}

}  // namespace hearth::simulation
