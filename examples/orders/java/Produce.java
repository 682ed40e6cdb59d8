// Sends orders and waits for what the function says to each. A single source file: java -cp 'jars/*' Produce.java [COUNT].
// ../README.md says how to run it.
import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Produce {
  private static final String BOOTSTRAP = setting("HEARTH_BOOTSTRAP", "127.0.0.1:29092");
  private static final String USER = setting("HEARTH_USER", "default");
  private static final String RESULTS = setting("HEARTH_RESULTS", "hearth.reply");
  private static final int PATIENCE_S = Integer.parseInt(setting("HEARTH_PATIENCE_S", "90"));

  private static final Pattern ACCEPTED = Pattern.compile("\"accepted\": *true");

  private static String setting(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }

  private static String header(ConsumerRecord<String, String> record, String name) {
    var found = record.headers().lastHeader(name);
    return found == null ? "" : new String(found.value(), UTF_8);
  }

  private static ProducerRecord<String, String> request(String id, int number) {
    String customer = List.of("ada", "edsger", "grace").get(number % 3);
    String item = List.of("tea", "cup", "kettle", "boat").get(number % 4);
    String order = String.format("{\"order\":\"%s\",\"customer\":\"%s\",\"item\":\"%s\",\"quantity\":%d}", id, customer, item, number % 5);
    // Keyed by user: all orders lie in one partition, in which the order key keeps each customer's in their order.
    var record = new ProducerRecord<>("hearth.invoke.std", USER, order);
    Map.of("hearth-fn", "orders", "hearth-user", USER, "hearth-id", id, "hearth-reply-to", RESULTS, "hearth-order-key", customer,
            "content-type", "application/json")
        .forEach((name, value) -> record.headers().add(name, value.getBytes(UTF_8)));
    return record;
  }

  private static int run(int count) {
    int accepted = 0, refused = 0, failed = 0;
    Set<String> waiting = new LinkedHashSet<>();
    try (var consumer = new KafkaConsumer<>(Map.<String, Object>of("bootstrap.servers", BOOTSTRAP, "default.api.timeout.ms", 15000),
             new StringDeserializer(), new StringDeserializer());
         var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", BOOTSTRAP, "max.block.ms", 15000),
             new StringSerializer(), new StringSerializer())) {
      List<TopicPartition> results = consumer.partitionsFor(RESULTS).stream()
          .map(each -> new TopicPartition(each.topic(), each.partition())).toList();
      consumer.assign(results);
      consumer.seekToEnd(results);
      results.forEach(consumer::position);  // the end of now, not of the first poll

      long begin = System.currentTimeMillis();
      for (int number = 0; number < count; ++number) {
        String id = "java-" + begin + "-" + number;
        waiting.add(id);
        producer.send(request(id, number));
      }
      producer.flush();

      Instant end = Instant.now().plusSeconds(PATIENCE_S);
      while (!waiting.isEmpty() && Instant.now().isBefore(end)) {
        for (var record : consumer.poll(Duration.ofMillis(500))) {
          if (!waiting.remove(header(record, "hearth-id"))) continue;  // another's, or a repeated one: the first counts
          if (!header(record, "hearth-status").equals("ok")) {
            ++failed;
            System.err.println(header(record, "hearth-id") + ": " + header(record, "hearth-status") + " "
                + header(record, "hearth-error-type") + ": " + header(record, "hearth-error-message"));
          } else if (ACCEPTED.matcher(record.value()).find()) {
            ++accepted;
          } else {
            ++refused;
          }
        }
      }
    }
    System.out.printf("java: %d sent, %d answered: %d accepted, %d refused, %d failed%n", count, count - waiting.size(), accepted,
        refused, failed);
    if (!waiting.isEmpty()) System.err.println("no result in " + PATIENCE_S + " s for " + String.join(", ", waiting));
    return waiting.isEmpty() && failed == 0 ? 0 : 1;
  }

  public static void main(String[] words) {
    int code = 1;
    try {
      code = run(words.length > 0 ? Integer.parseInt(words[0]) : 20);
    } catch (KafkaException error) {
      System.err.println("Kafka at " + BOOTSTRAP + ": " + error.getMessage()
          + ". Is the stack up? HEARTH_BOOTSTRAP says another address");
    }
    System.exit(code);
  }
}
