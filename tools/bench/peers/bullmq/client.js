// Keeps so many jobs under way, and waits for each result by the queue's events. node client.js SECONDS IN_FLIGHT
const { Queue, QueueEvents } = require("bullmq");

const [seconds, inFlight] = process.argv.slice(2).map(Number);
const connection = { host: "127.0.0.1", port: Number(process.env.REDIS_PORT) };
const queue = new Queue("noop", { connection });
const events = new QueueEvents("noop", { connection });
const took = [];
let started = 0;

async function line(end) {
  while (process.hrtime.bigint() < end) {
    const number = started++;
    const began = process.hrtime.bigint();
    const job = await queue.add("noop", `load-${number}`);
    await job.waitUntilFinished(events);
    took.push(Number(process.hrtime.bigint() - began) / 1e6);
  }
}

async function main() {
  await events.waitUntilReady();
  const began = process.hrtime.bigint();
  const end = began + BigInt(Math.round(seconds * 1e9));
  await Promise.all(Array.from({ length: inFlight }, () => line(end)));
  const spent = Number(process.hrtime.bigint() - began) / 1e9;
  took.sort((a, b) => a - b);
  const at = (share) => took[Math.ceil(share * took.length) - 1];
  console.log(JSON.stringify({ per_second: took.length / spent, p50_ms: at(0.5), p99_ms: at(0.99) }));
  process.exit(0);
}
main();
