#include "common/kafka/admin.h"

#include <array>

#include "common/kafka/handle.h"

namespace hearth::kafka {
namespace {

using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Deleter<rd_kafka_NewTopic_destroy>>;
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, Deleter<rd_kafka_AdminOptions_destroy>>;

Result<Client> AdminClient(const std::string& bootstrap) {
  auto conf = MakeConf(bootstrap, "hearth-admin", {});
  if (!conf) return std::unexpected(conf.error());
  return MakeClient(RD_KAFKA_PRODUCER, std::move(*conf));
}

Result<Metadata> Ask(const std::string& bootstrap, std::int64_t timeout_ms) {
  auto client = AdminClient(bootstrap);
  if (!client) return std::unexpected(client.error());
  const rd_kafka_metadata_t* raw = nullptr;
  const auto error = rd_kafka_metadata(client->get(), 1, nullptr, &raw, static_cast<int>(timeout_ms));
  Metadata metadata(raw);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kUnavailable, "kafka at " + bootstrap + ": " + rd_kafka_err2str(error));
  }
  return metadata;
}

}  // namespace

Result<int> CountBrokers(const std::string& bootstrap, std::int64_t timeout_ms) {
  const auto metadata = Ask(bootstrap, timeout_ms);
  if (!metadata) return std::unexpected(metadata.error());
  return (*metadata)->broker_cnt;
}

Result<std::vector<TopicInfo>> ListTopics(const std::string& bootstrap, std::int64_t timeout_ms) {
  const auto metadata = Ask(bootstrap, timeout_ms);
  if (!metadata) return std::unexpected(metadata.error());
  std::vector<TopicInfo> topics;
  topics.reserve(static_cast<std::size_t>((*metadata)->topic_cnt));
  for (int i = 0; i < (*metadata)->topic_cnt; ++i) {
    topics.push_back({(*metadata)->topics[i].topic, (*metadata)->topics[i].partition_cnt});
  }
  return topics;
}

Result<std::vector<std::string>> CreateTopics(const std::string& bootstrap, const std::vector<TopicSpec>& specs,
                                              std::int64_t timeout_ms) {
  auto client = AdminClient(bootstrap);
  if (!client) return std::unexpected(client.error());
  std::vector<NewTopic> topics;
  std::vector<rd_kafka_NewTopic_t*> raw;
  std::array<char, 256> reason{};
  for (const auto& spec : specs) {
    topics.emplace_back(
        rd_kafka_NewTopic_new(spec.name.c_str(), spec.partitions, spec.replication, reason.data(), reason.size()));
    if (!topics.back()) return Fail(Code::kInvalid, "topic " + spec.name + ": " + reason.data());
    for (const auto& [name, value] : spec.settings) {
      rd_kafka_NewTopic_set_config(topics.back().get(), name.c_str(), value.c_str());
    }
    raw.push_back(topics.back().get());
  }
  const AdminOptions options(rd_kafka_AdminOptions_new(client->get(), RD_KAFKA_ADMIN_OP_CREATETOPICS));
  const int timeout = static_cast<int>(timeout_ms);
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout, reason.data(), reason.size());
  rd_kafka_AdminOptions_set_operation_timeout(options.get(), timeout, reason.data(), reason.size());
  const Queue queue(rd_kafka_queue_new(client->get()));
  rd_kafka_CreateTopics(client->get(), raw.data(), raw.size(), options.get(), queue.get());
  const Event event(rd_kafka_queue_poll(queue.get(), timeout + 1000));
  if (!event) return Fail(Code::kUnavailable, "kafka at " + bootstrap + " did not answer");
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Fail(Code::kUnavailable, "kafka at " + bootstrap + ": " + rd_kafka_event_error_string(event.get()));
  }
  std::vector<std::string> created;
  std::size_t count = 0;
  const auto* results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto error = rd_kafka_topic_result_error(results[i]);
    const std::string name = rd_kafka_topic_result_name(results[i]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      created.push_back(name);
    } else if (error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
      const char* detail = rd_kafka_topic_result_error_string(results[i]);
      return Fail(Code::kUnavailable, "topic " + name + ": " + (detail != nullptr ? detail : rd_kafka_err2str(error)));
    }
  }
  return created;
}

}  // namespace hearth::kafka
