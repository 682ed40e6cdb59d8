// A worker with a sandboxed processor: a pool of child processes runs the jobs.
const path = require("path");
const { Worker } = require("bullmq");

const worker = new Worker("noop", path.join(__dirname, "noop.js"), {
  connection: { host: "127.0.0.1", port: Number(process.env.REDIS_PORT) },
  concurrency: Number(process.env.CONCURRENCY),
  removeOnComplete: { count: 1000 },
});
worker.waitUntilReady().then(() => console.log("ready"));
process.on("SIGTERM", async () => {
  await worker.close();
  process.exit(0);
});
