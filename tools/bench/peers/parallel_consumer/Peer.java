// Confluent's parallel-consumer, unordered: the handler returns the record that is to be produced.
import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Peer {
  public static void main(String[] arguments) throws Exception {
    Map<String, String> env = System.getenv();
    String replies = env.get("REPLIES");
    var consumer = new KafkaConsumer<>(
        Map.<String, Object>of("bootstrap.servers", env.get("BOOTSTRAP"), "group.id", "peer-parallel-consumer",
            "enable.auto.commit", false, "auto.offset.reset", "earliest"),
        new ByteArrayDeserializer(), new ByteArrayDeserializer());
    var producer = new KafkaProducer<>(
        Map.<String, Object>of("bootstrap.servers", env.get("BOOTSTRAP")), new ByteArraySerializer(), new ByteArraySerializer());
    var options = ParallelConsumerOptions.<byte[], byte[]>builder()
        .ordering(ProcessingOrder.UNORDERED)
        .maxConcurrency(Integer.parseInt(env.get("CONCURRENCY")))
        .consumer(consumer)
        .producer(producer)
        .build();
    var processor = ParallelStreamProcessor.createEosStreamProcessor(options);
    processor.subscribe(List.of(env.get("REQUESTS")));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> processor.close()));
    processor.pollAndProduce(context -> {
      var record = context.getSingleConsumerRecord();
      return new ProducerRecord<>(replies, record.key(), record.value());
    });
    System.out.println("ready");
    Thread.currentThread().join();
  }
}
