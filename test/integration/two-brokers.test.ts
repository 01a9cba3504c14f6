// Two whole brokers on one pair of stores, with real sockets between them and to their clients: what one of them was told
// the other one knows when the answer comes, and a broker that is gone is missed early.
import { expect, it, onTestFinished } from "vitest";
import { createMetadataRequest } from "../../generated/testing/metadata-request.ts";
import { Broker } from "../../src/broker/broker.ts";
import { embeddedBrokerSettings } from "../../src/broker/broker-settings.ts";
import { SocketControlPlane } from "../../src/control/socket-control-plane.ts";
import { H2cServer } from "../../src/host/h2c-server.ts";
import { openHttpPort } from "../../src/host/http-port.ts";
import { silentLog } from "../../src/host/log.ts";
import { UnexportedMetrics } from "../../src/host/metrics.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { TcpTransport } from "../../src/host/tcp-transport.ts";
import { MemoryKeyValueStore } from "../../src/kv/memory.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { apis } from "../kafka/broker-world.ts";
import { RawSocket } from "./raw-socket.ts";
import { SocketClient, turn } from "./socket-world.ts";

const clock = new SystemClock();

/** A broker with its control port. */
async function startBroker(brokerId: number, stores: { kv: MemoryKeyValueStore; store: MemoryObjectStore }) {
  const h2c = new H2cServer();
  const anyPort = { host: "127.0.0.1", port: 0 };
  const http = await openHttpPort({ address: anyPort, routes: {}, takeHttp2: (socket) => h2c.take(socket) });
  const control = new SocketControlPlane({ clock, h2c, address: http.address });
  const shared = { clock, random: new SystemRandom(), log: silentLog, metrics: new UnexportedMetrics() };
  const settings = { ...embeddedBrokerSettings, brokerId, stopGraceMs: 0, listener: anyPort, advertised: anyPort };
  const components = { ...shared, transport: new TcpTransport(), control, ...stores };
  const broker = await Broker.start(settings, components, { signal: new AbortController().signal });
  const closePort = async () => {
    await Promise.all([h2c.close(), http.close()]);
  };
  onTestFinished(async () => {
    await broker.stop();
    control.peers.keepOnly([]);
    await closePort();
  });
  const connect = async () => {
    const socket = await RawSocket.open(broker.address);
    onTestFinished(() => {
      socket.destroy();
    });
    return new SocketClient(socket, "tests");
  };
  return { broker, connect, closePort };
}

async function start() {
  const stores = { kv: new MemoryKeyValueStore({ clock }), store: new MemoryObjectStore() };
  const first = await startBroker(1, stores);
  const second = await startBroker(2, stores);
  return { first, second };
}

async function metadata(client: SocketClient) {
  const { brokers, topics } = await client.call(apis.metadata, 12, createMetadataRequest({ topics: null }));
  return { brokers: brokers.map(({ nodeId }) => nodeId), topics: topics.map(({ name }) => name) };
}

it("shows a topic in the other broker's Metadata when its creation is answered, and not when its deletion is", async () => {
  const { first, second } = await start();
  const [one, other] = await Promise.all([first.connect(), second.connect()]);
  while ((await metadata(one)).brokers.length < 2) await turn();
  for (let round = 0; round < 20; round++) {
    const name = `orders-${round}`;
    expect(await one.createTopic(name)).toBe(0);
    expect((await metadata(other)).topics).toEqual([name]);
    const deletion = { topics: [], topicNames: [name], timeoutMs: 30_000, unknownTags: null };
    const deleted = await other.call(apis.deleteTopics, 5, deletion);
    expect(deleted.responses.map(({ errorCode }) => errorCode)).toEqual([0]);
    expect((await metadata(one)).topics).toEqual([]);
  }
});

it("misses a broker whose port refuses long before its lease ends", async () => {
  const { first, second } = await start();
  const client = await first.connect();
  while ((await metadata(client)).brokers.length < 2) await turn();
  // By then the second has answered the first: only a process that was reached may be missed.
  expect(await client.createTopic("orders")).toBe(0);
  const startedMs = clock.monotonicMs();
  second.broker.abandon();
  await second.closePort();
  while ((await metadata(client)).brokers.length > 1) await turn();
  expect((await metadata(client)).brokers).toEqual([1]);
  expect(clock.monotonicMs() - startedMs).toBeLessThan(5000);
});
