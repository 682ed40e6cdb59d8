// Submits a batch of orders and waits for its end. A single source file: java -cp 'jars/*' Submit.java [COUNT].
// ../README.md says how to run it.
import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Submit {
  private static final String BOOTSTRAP = setting("HEARTH_BOOTSTRAP", "127.0.0.1:29092");
  private static final String USER = setting("HEARTH_USER", "default");
  private static final int PATIENCE_S = Integer.parseInt(setting("HEARTH_PATIENCE_S", "90"));
  private static final Pattern COUNTS = Pattern.compile("\"counts\":\\{([^}]*)\\}");

  private static String setting(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }

  // Keyed by user: the partitioner of this client puts all items into the partition of the user's batches.
  private static ProducerRecord<String, String> item(String batch, int index) {
    String order = String.format("{\"order\":\"o-%d\",\"customer\":\"ada\",\"item\":\"%s\",\"quantity\":%d}", index,
        List.of("tea", "cup", "kettle").get(index % 3), 1 + index % 4);
    var record = new ProducerRecord<>("hearth.batch.items", USER, order);
    Map.of("hearth-batch", USER + "/" + batch, "hearth-item", String.valueOf(index), "content-type", "application/json")
        .forEach((name, value) -> record.headers().add(name, value.getBytes(UTF_8)));
    return record;
  }

  private static int run(int count) throws Exception {
    String batch = "java-" + System.currentTimeMillis();
    int partition;
    try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", BOOTSTRAP, "max.block.ms", 15000),
             new StringSerializer(), new StringSerializer())) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (int index = 0; index < count; ++index) sent.add(producer.send(item(batch, index)));
      producer.flush();
      long first = Long.MAX_VALUE, last = -1;
      for (var each : sent) {
        first = Math.min(first, each.get().offset());
        last = Math.max(last, each.get().offset());
      }
      partition = sent.get(0).get().partition();
      String spec = String.format("{\"fn\":\"orders\",\"total\":%d,\"ranges\":[[%d,%d,%d]]}", count,
          partition, first, last);
      producer.send(new ProducerRecord<>("hearth.batches", partition, USER + "/" + batch + "/spec", spec)).get();
    }
    try (var consumer = new KafkaConsumer<>(Map.<String, Object>of("bootstrap.servers", BOOTSTRAP, "default.api.timeout.ms", 15000),
             new StringDeserializer(), new StringDeserializer())) {
      var states = List.of(new TopicPartition("hearth.batch.state", partition));
      consumer.assign(states);
      consumer.seekToBeginning(states);
      for (Instant end = Instant.now().plusSeconds(PATIENCE_S); Instant.now().isBefore(end);) {
        for (var record : consumer.poll(Duration.ofMillis(500))) {
          boolean ended = record.value() != null && record.key().equals(USER + "/" + batch) && record.value().contains("\"state\":\"ended\"");
          if (!ended) continue;
          var counts = COUNTS.matcher(record.value());
          System.out.printf("java: batch %s: %d items, %s%n", batch, count, counts.find() ? counts.group(1) : record.value());
          return record.value().contains("\"outcome\":\"succeeded\"") ? 0 : 1;
        }
      }
    }
    System.err.println("batch " + batch + " has not ended in " + PATIENCE_S + " s");
    return 1;
  }

  public static void main(String[] words) throws Exception {
    int code = 1;
    try {
      code = run(words.length > 0 ? Integer.parseInt(words[0]) : 20);
    } catch (KafkaException error) {
      System.err.println("Kafka at " + BOOTSTRAP + ": " + error.getMessage() + ". Is the stack up? HEARTH_BOOTSTRAP says another address");
    }
    System.exit(code);
  }
}
