// The process that bench/broker.ts loads: the broker on memory stores, or a bare sink that splits frames, checks the CRC
// of the batch and answers. Its one argument says which; its parent asks for its memory and
// the time it used of the processor.
import { createServer } from "node:net";
import { Broker } from "../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../src/broker/broker-settings.ts";
import { silentLog } from "../src/host/log.ts";
import { UnexportedMetrics } from "../src/host/metrics.ts";
import { SystemClock } from "../src/host/system-clock.ts";
import { SystemRandom } from "../src/host/system-random.ts";
import { TcpTransport } from "../src/host/tcp-transport.ts";
import { MemoryKeyValueStore } from "../src/kv/memory.ts";
import { MemoryObjectStore } from "../src/object-store/memory.ts";
import { crc32c } from "../src/wire/crc32c.ts";

/** Bytes of a batch before what its CRC covers, and where the CRC stands. */
const CRC_POSITION = 17;
const COVERED_FROM = 21;

async function serveBroker(): Promise<number> {
  const clock = new SystemClock();
  const kafka = {
    ...embeddedBrokerSettings.kafka,
    acceptsPerSecondMax: 10_000,
    acceptsPerSecondPerAddressMax: 10_000,
    connectionsPerAddressMax: 10_000,
  };
  const broker = await Broker.start(
    {
      ...embeddedBrokerSettings,
      kafka,
      listener: { host: "127.0.0.1", port: 0 },
      advertised: { host: "127.0.0.1", port: 0 },
    },
    {
      clock,
      random: new SystemRandom(),
      log: silentLog,
      metrics: new UnexportedMetrics(),
      transport: new TcpTransport(),
      store: new MemoryObjectStore(),
      kv: new MemoryKeyValueStore({ clock }),
    },
    { signal: new AbortController().signal },
  );
  return broker.address.port;
}

/** Answers Produce 7 for one partition: the batch is the last thing in the request. */
function answerOf(frame: Buffer): Buffer {
  const answer = Buffer.alloc(4 + 4 + 4 + 2 + 1 + 4 + 4 + 2 + 8 + 8 + 8 + 4);
  answer.writeInt32BE(answer.length - 4, 0);
  frame.copy(answer, 4, 4, 8);
  return answer;
}

function serveSink(batchBytes: number): Promise<number> {
  const server = createServer((socket) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    let wanted = 4;
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes < wanted) return;
      let data = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      const answers: Buffer[] = [];
      wanted = 4;
      while (data.length >= 4) {
        wanted = 4 + data.readInt32BE(0);
        if (data.length < wanted) break;
        const frame = data.subarray(4, wanted);
        const batch = frame.subarray(frame.length - batchBytes);
        if (crc32c(batch.subarray(COVERED_FROM)) !== batch.readUInt32BE(CRC_POSITION)) throw new Error("a wrong CRC");
        answers.push(answerOf(frame));
        data = data.subarray(wanted);
        wanted = 4;
      }
      if (data.length >= 4) wanted = 4 + data.readInt32BE(0);
      chunks = data.length > 0 ? [data] : [];
      bytes = data.length;
      if (answers.length > 0) socket.write(answers.length === 1 ? (answers[0] as Buffer) : Buffer.concat(answers));
    });
    socket.on("error", () => socket.destroy());
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : 0);
    });
  });
}

const [, , what, batchBytes = "0"] = process.argv;
const port = what === "broker" ? await serveBroker() : await serveSink(Number(batchBytes));
process.on("message", () => {
  // The time first: a full collection for the sake of the figure of memory is no part of serving.
  const { user, system } = process.cpuUsage();
  const { minorPageFault: pageFaults } = process.resourceUsage();
  globalThis.gc?.();
  process.send?.({ rssBytes: process.memoryUsage().rss, cpuMicroseconds: user + system, pageFaults });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port });
