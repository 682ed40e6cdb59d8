// Sends orders and waits for what the function says to each. Needs kafkajs (npm install). ../README.md says how to run it.
import { Kafka, logLevel } from "kafkajs";

const bootstrap = process.env.HEARTH_BOOTSTRAP ?? "127.0.0.1:29092";
const user = process.env.HEARTH_USER ?? "default";
const results = process.env.HEARTH_RESULTS ?? "hearth.reply";
const patienceS = Number(process.env.HEARTH_PATIENCE_S ?? "90");
const count = Number(process.argv[2] ?? "20");
const run = Date.now();

const makeOrder = (number) => ({
  order: `node-${run}-${number}`,
  customer: ["ada", "edsger", "grace"][number % 3],
  item: ["tea", "cup", "kettle", "boat"][number % 4],
  quantity: number % 5,
});

const kafka = new Kafka({ clientId: "orders", brokers: bootstrap.split(","), logLevel: logLevel.NOTHING, retry: { retries: 3 } });
const consumer = kafka.consumer({ groupId: `orders-node-${run}`, maxWaitTimeInMs: 500 });
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });

const orders = Array.from({ length: count }, (_, number) => makeOrder(number));
const waiting = new Set(orders.map((each) => each.order));
const told = { accepted: 0, refused: 0, failed: 0 };
let tellAll;
const all = new Promise((resolve) => (tellAll = resolve));

function take(message) {
  const header = (name) => message.headers[name]?.toString() ?? "";
  if (!waiting.delete(header("hearth-id"))) return; // somebody else's, or a repeated one: the first result of an id counts
  if (header("hearth-status") === "ok") {
    told[JSON.parse(message.value).accepted ? "accepted" : "refused"] += 1;
  } else {
    told.failed += 1;
    console.error(`${header("hearth-id")}: ${header("hearth-status")} ${header("hearth-error-type")}: ${header("hearth-error-message")}`);
  }
  if (waiting.size === 0) tellAll();
}

try {
  await consumer.connect();
  await producer.connect();
  await consumer.subscribe({ topic: results, fromBeginning: false });
  // A consumer of a new group reads from the end, and where the end is it finds out with its first fetch.
  const reading = new Promise((resolve) => consumer.on(consumer.events.FETCH, resolve));
  await consumer.run({ eachMessage: async ({ message }) => take(message) });
  await reading;
  await producer.send({
    topic: "hearth.invoke.std",
    messages: orders.map((order) => ({
      key: user, // all orders lie in one partition, in which the order key keeps each customer's in their order
      value: JSON.stringify(order),
      headers: {
        "hearth-fn": "orders",
        "hearth-user": user,
        "hearth-id": order.order,
        "hearth-reply-to": results,
        "hearth-order-key": order.customer,
        "content-type": "application/json",
      },
    })),
  });
} catch (error) {
  console.error(`Kafka at ${bootstrap}: ${error.message}. Is the stack up? HEARTH_BOOTSTRAP says another address`);
  process.exit(1);
}
await Promise.race([all, new Promise((resolve) => setTimeout(resolve, patienceS * 1000))]);
await Promise.all([consumer.disconnect(), producer.disconnect()]);
console.log(
  `node: ${count} sent, ${count - waiting.size} answered: ${told.accepted} accepted, ${told.refused} refused, ${told.failed} failed`,
);
if (waiting.size > 0) console.error(`no result in ${patienceS} s for ${[...waiting].join(", ")}`);
process.exit(waiting.size > 0 || told.failed > 0 ? 1 : 0);
