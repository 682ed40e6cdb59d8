// Connections between dispatchers and executors: what travels is really encoded and decoded.
#include <algorithm>

#include "schemas/frame.h"
#include "tests/simulation/world_nodes.h"

namespace hearth::simulation {
namespace {

constexpr std::int64_t kGraceUs = link::kOrphanGraceMs * 1000;
constexpr std::int64_t kLeaseUs = link::kLeaseMs * 1000;

std::string ExecutorName(int index) {
  return "executor-" + std::to_string(index);
}

}  // namespace

void World::Connect(int dispatcher, int executor) {
  const auto& dialer = *dispatchers_[static_cast<std::size_t>(dispatcher)];
  if (dialer.core == nullptr) return;
  if (executors_[static_cast<std::size_t>(executor)]->core == nullptr) {
    return StepDispatcher(dispatcher, dispatcher::ExecutorAbsent{ExecutorName(executor)});
  }
  const auto again = [&](std::int64_t delay_us) {
    At(delay_us, [this, dispatcher, executor] { Connect(dispatcher, executor); });
  };
  if (dialer.frozen) return again(500'000);
  if (const auto until = blocked_until_[{dispatcher, executor}]; until > now_us_) return again(until - now_us_);
  for (const auto& [id, connection] : connections_) {
    if (connection.dispatcher == dispatcher && connection.executor == executor) return;
  }
  const auto link = next_connection_++;
  connections_.emplace(link, Connection{dispatcher, executor, false, 0, 0});
  acknowledged_.try_emplace({dispatcher, executor}, now_us_);
  StepExecutor(executor, executor::DispatcherConnected{link, DispatcherId("dispatcher-" + std::to_string(dispatcher))});
}

void World::Disconnect(std::uint64_t link) {
  const auto node = connections_.extract(link);
  if (node.empty()) return;
  const Connection connection = node.mapped();
  Note("disconnect " + std::to_string(link));
  placed_items_.erase({connection.dispatcher, connection.executor});
  if (connection.greeted) {
    StepDispatcher(connection.dispatcher,
                   dispatcher::ExecutorDisconnected{ExecutorId(ExecutorName(connection.executor))});
  }
  if (connection.to_executor_us > now_us_ && stale_.contains(link)) {
    At(connection.to_executor_us - now_us_ + 1, [this, link, executor = connection.executor] {
      stale_.erase(link);
      StepExecutor(executor, executor::DispatcherDisconnected{link});
    });
  } else {
    StepExecutor(connection.executor, executor::DispatcherDisconnected{link});
  }
  At(Between(100'000, 2'000'000), [this, connection] { Connect(connection.dispatcher, connection.executor); });
}

// What the dispatcher sends gets stuck; it gives the link up and dials anew, and then the stuck frames arrive.
void World::Stall(std::uint64_t link) {
  auto& connection = connections_.at(link);
  Count(Fault::kStalledLink);
  stale_[link] = connection.executor;
  connection.to_executor_us = std::max(connection.to_executor_us, now_us_ + Between(1'000'000, 4'000'000));
  At(Between(100'000, 900'000), [this, link] { Disconnect(link); });
}

void World::BlackOut(int executor) {
  const auto kind = Between(0, 2);
  const auto for_us = kind == 0   ? Between(2'000'000, kGraceUs - 1'000'000)
                      : kind == 1 ? Between(kGraceUs + 300'000, kLeaseUs - 200'000)
                                  : Between(kLeaseUs + 500'000, 40'000'000);
  const int only =
      options_.dispatchers > 1 && Chance(300) ? static_cast<int>(Between(0, options_.dispatchers - 1)) : -1;
  Count(Fault::kBlackout);
  if (kind > 0 && only < 0) Count(Fault::kNobodyConnected);
  if (kind == 1) Count(Fault::kHealedBetween);
  Note("black out " + std::to_string(executor));
  std::vector<std::uint64_t> cut;
  for (int i = 0; i < options_.dispatchers; ++i) {
    if (only >= 0 && i != only) continue;
    auto& until = blocked_until_[{i, executor}];
    until = std::max(until, now_us_ + for_us);
    for (const auto& [id, connection] : connections_) {
      if (connection.dispatcher == i && connection.executor == executor) cut.push_back(id);
    }
  }
  for (const auto id : cut) Disconnect(id);
}

void World::Deafen(int executor) {
  Count(Fault::kDeafExecutor);
  executors_[static_cast<std::size_t>(executor)]->deaf_until_us = now_us_ + Between(1'000'000, 35'000'000);
}

void World::NoteAcknowledgement(int dispatcher, int executor, std::int64_t sent_us) {
  auto& last_us = acknowledged_[{dispatcher, executor}];
  if (now_us_ - last_us > kGraceUs) history_.cut_offs.push_back({ExecutorName(executor), last_us, now_us_});
  last_us = std::max(last_us, sent_us);
}

// Both directions: only what dispatchers say has a memory.
std::optional<link::Message> World::Carry(Connection& connection, link::Message message) {
  std::string bytes;
  FrameReader reader;
  const auto refuse = [&](const Error& error) {
    if (history_.unreadable_frame.empty()) history_.unreadable_frame = error.message;
    return std::nullopt;
  };
  if (auto appended = connection.writer.Append(bytes, message); !appended) return refuse(appended.error());
  if (auto fed = reader.Feed(bytes); !fed) return refuse(fed.error());
  while (auto frame = reader.Next()) {
    auto decoded = connection.reader.Decode(std::move(*frame));
    if (!decoded) return refuse(decoded.error());
    if (*decoded) return std::move(**decoded);
  }
  return refuse(Error{Code::kInvalid, "no whole frame"});
}

void World::ToExecutor(int dispatcher, const ExecutorId& executor, const link::Message& message) {
  for (auto& [id, connection] : connections_) {
    if (connection.dispatcher != dispatcher || ExecutorName(connection.executor) != executor.value) continue;
    auto carried = Carry(connection, message);
    if (!carried) return At(0, [this, link = id] { Disconnect(link); });
    const int copies = Happens(Fault::kRepeatedFrame) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      connection.to_executor_us = std::max(now_us_ + Between(20, 3000), connection.to_executor_us + 1);
      At(connection.to_executor_us - now_us_, [this, link = id, carried] { ReceiveAtExecutor(link, *carried); });
    }
    return;
  }
}

void World::ReceiveAtExecutor(std::uint64_t link, const link::Message& message) {
  const auto found = connections_.find(link);
  const auto stale = stale_.find(link);
  if (found == connections_.end() && stale == stale_.end()) return;
  const int index = found != connections_.end() ? found->second.executor : stale->second;
  if (const auto* ack = std::get_if<link::HeartbeatAck>(&message); ack != nullptr && found != connections_.end()) {
    if (executors_[static_cast<std::size_t>(index)]->deaf_until_us > now_us_) return;
    NoteAcknowledgement(found->second.dispatcher, index, ack->sent_mono_us);
  }
  StepExecutor(index, executor::DispatcherMessage{link, message});
}

void World::ToDispatcher(std::uint64_t link, const link::Message& message) {
  const auto found = connections_.find(link);
  if (found == connections_.end()) return;
  auto& connection = found->second;
  auto carried = Carry(connection, message);
  if (!carried) return At(0, [this, link] { Disconnect(link); });
  if (auto* report = std::get_if<link::FenceReport>(&*carried)) {
    if (report->more) Count(Fault::kManyReportedDone);
    if (options_.mutant == Mutant::kEmptyReports) {
      report->running.clear();
      report->finished.clear();
    }
  }
  const bool hello = std::holds_alternative<link::ExecutorHello>(*carried);
  const int copies = !hello && Happens(Fault::kRepeatedFrame) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    connection.to_dispatcher_us = std::max(now_us_ + Between(20, 3000), connection.to_dispatcher_us + 1);
    At(connection.to_dispatcher_us - now_us_, [this, link, carried] { ReceiveAtDispatcher(link, *carried); });
  }
}

void World::ReceiveAtDispatcher(std::uint64_t link, const link::Message& message) {
  const auto found = connections_.find(link);
  if (found == connections_.end()) return;
  const int index = found->second.dispatcher;
  NoteItemsEnd(found->second, message);
  if (const auto* hello = std::get_if<link::ExecutorHello>(&message)) {
    found->second.greeted = true;
    return StepDispatcher(index, dispatcher::ExecutorConnected{*hello, ExecutorName(found->second.executor)});
  }
  StepDispatcher(index, dispatcher::ExecutorMessage{ExecutorId(ExecutorName(found->second.executor)), message});
}

}  // namespace hearth::simulation
