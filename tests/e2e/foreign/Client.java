// A foreign client: Apache's own, in Java. Sends one request in the headers form and one as a CloudEvent (binary), waits
// for both replies, and prints a line for each: id, status and output, apart by tabs.
// Run as a single source file: java -cp 'LIBRARIES/*' Client.java BOOTSTRAP HEADERS-ID EVENT-ID
import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.HashSet;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Client {
  private static final Duration PATIENCE = Duration.ofSeconds(90);

  private static ProducerRecord<byte[], byte[]> request(String payload, Map<String, String> headers) {
    var record = new ProducerRecord<>("hearth.invoke.std", "alice".getBytes(UTF_8), payload.getBytes(UTF_8));
    headers.forEach((name, text) -> record.headers().add(name, text.getBytes(UTF_8)));
    return record;
  }

  private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
    Header found = record.headers().lastHeader(name);
    return found == null ? "" : new String(found.value(), UTF_8);
  }

  public static void main(String[] words) throws Exception {
    String bootstrap = words[0];
    Set<String> awaited = new HashSet<>(List.of(words[1], words[2]));
    try (var consumer = new KafkaConsumer<>(Map.<String, Object>of("bootstrap.servers", bootstrap),
             new ByteArrayDeserializer(), new ByteArrayDeserializer());
         var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", bootstrap),
             new ByteArraySerializer(), new ByteArraySerializer())) {
      List<TopicPartition> replies = consumer.partitionsFor("hearth.reply").stream()
          .map(each -> new TopicPartition(each.topic(), each.partition())).toList();
      consumer.assign(replies);
      consumer.seekToEnd(replies);
      replies.forEach(consumer::position);  // the end of now, not of the first poll

      producer.send(request("\"from java\"", Map.of("hearth-fn", "witness", "hearth-user", "alice", "hearth-id", words[1]))).get();
      producer.send(request("\"an event from java\"", Map.of("ce_specversion", "1.0", "ce_id", words[2], "ce_source", "/java",
          "ce_type", "hearth.invoke.witness", "ce_hearthuser", "alice", "content-type", "application/json"))).get();

      Instant end = Instant.now().plus(PATIENCE);
      while (!awaited.isEmpty() && Instant.now().isBefore(end)) {
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          if (awaited.remove(header(record, "hearth-id"))) {
            System.out.println(header(record, "hearth-id") + "\t" + header(record, "hearth-status") + "\t"
                + new String(record.value(), UTF_8));
          }
        }
      }
    }
    if (!awaited.isEmpty()) {
      System.err.println("no reply to " + awaited);
      System.exit(1);
    }
  }
}
