// The simulated network: the contract of transports in virtual time, and the faults it adds.
import { describe, expect, it } from "vitest";
import type { Connection } from "../../src/host/transport.ts";
import { describeTransport } from "../host/transport-contract.ts";
import { SimClock } from "./sim-clock.ts";
import { SimRandom } from "./sim-random.ts";
import { SimNetwork } from "./sim-transport.ts";

const { signal } = new AbortController();

function newWorld(seed = 1) {
  const world = new SimClock({ seed });
  const network = new SimNetwork({ world, random: new SimRandom(seed).split("network") });
  return { world, network };
}

async function connectedPair(seed = 1) {
  const { world, network } = newWorld(seed);
  const [clientClock, serverClock] = [world.node(), world.node()];
  const [client, server] = [network.transport("a", clientClock), network.transport("b", serverClock)];
  let accept: (connection: Connection) => void = () => {};
  const accepted = new Promise<Connection>((resolve) => {
    accept = resolve;
  });
  const listener = await server.listen({ host: "b", port: 9092 }, (connection) => accept(connection));
  const near = await world.complete(client.connect(listener.address, { signal }));
  const far = await world.complete(accepted);
  return { world, network, near, far, client, server, clientClock, serverClock };
}

describeTransport("the simulated network", async () => {
  const { world, network } = newWorld();
  return {
    transport: network.transport("a"),
    address: { host: "a", port: 0 },
    drive: (promise) => world.complete(promise),
    bytesInFlightMax: 2_000_000,
  };
});

describe("SimNetwork", () => {
  it("holds everything back while a link is cut and delivers it in order once it is healed", async () => {
    const { world, network, near, far } = await connectedPair();
    network.cut("a", "b");
    for (let value = 0; value < 20; value++) await world.complete(near.write([new Uint8Array([value])]));
    const chunks = far.chunks();
    const first = chunks.next();
    expect(await world.run({ untilMs: 60_000, until: () => false })).toBe(false);
    network.heal("b", "a");
    const seen = [...((await world.complete(first)).value ?? [])];
    while (seen.length < 20) seen.push(...((await world.complete(chunks.next())).value ?? []));
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  it("waits with a new connection until the link is healed", async () => {
    const { world, network, client } = await connectedPair();
    network.cut("a", "b");
    let isConnected = false;
    const connecting = client.connect({ host: "b", port: 9092 }, { signal }).then(() => {
      isConnected = true;
    });
    await world.advance(10_000);
    expect(isConnected).toBe(false);
    network.heal("a", "b");
    await world.complete(connecting);
    expect(isConnected).toBe(true);
  });

  it("breaks both sides by a reset", async () => {
    const { world, network, near, far } = await connectedPair();
    const reads = Promise.allSettled([near.chunks().next(), far.chunks().next()]);
    network.reset("a", "b");
    expect((await world.complete(reads)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(world.complete(near.write([new Uint8Array(1)]))).rejects.toThrow("writing to");
  });

  it("resets the peers of a killed node, and tells the dead one nothing", async () => {
    const { world, network, near, far, server, serverClock } = await connectedPair();
    let isTold = false;
    const told = () => {
      isTold = true;
    };
    far.chunks().next().then(told, told);
    const peer = near.chunks().next();
    serverClock.kill();
    network.kill(server);
    await expect(world.complete(peer)).rejects.toThrow("reset");
    await world.run();
    expect(isTold).toBe(false);
    const again = network.transport("b", world.node());
    await expect(again.listen({ host: "b", port: 9092 }, () => {})).resolves.toMatchObject({ address: { port: 9092 } });
  });

  it("leaves the peer of a machine without power in the dark, its writes stalling in the end", async () => {
    const { world, network, near, server, serverClock } = await connectedPair();
    serverClock.kill();
    network.kill(server, { isSilent: true });
    const outcomes: string[] = [];
    const note = (text: string) => () => void outcomes.push(text);
    near.chunks().next().then(note("read"), note("read failed"));
    near.write([new Uint8Array(10)]).then(note("small write"), note("write failed"));
    near.write([new Uint8Array(1_000_000)]).then(note("large write"), note("write failed"));
    await world.run();
    expect(outcomes).toEqual(["small write"]);
  });

  it("holds the bytes of a paused node and gives them in order when it resumes", async () => {
    const { world, near, far, serverClock } = await connectedPair();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const chunk of far.chunks()) seen.push(...chunk);
    })();
    serverClock.pause();
    for (let value = 0; value < 30; value++) {
      await world.complete(near.write([new Uint8Array([value])]));
      await world.advance(3);
    }
    near.end();
    await world.advance(1000);
    expect(seen).toEqual([]);
    serverClock.resume();
    await world.complete(reading);
    expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => index));
  });

  it("spoils a chunk once the next is asked for", async () => {
    const { world, near, far } = await connectedPair();
    await world.complete(near.write([new Uint8Array([1])]));
    const chunks = far.chunks();
    const { value } = await world.complete(chunks.next());
    expect([...(value ?? [])]).toEqual([1]);
    void chunks.next();
    expect([...(value ?? [])]).not.toEqual([1]);
  });

  it("does the same again under the same seed, and something else under another", async () => {
    const traceOf = async (seed: number) => {
      const { world, network, near, far } = await connectedPair(seed);
      const trace: string[] = [];
      const reading = (async () => {
        for await (const chunk of far.chunks()) trace.push(`${world.monotonicMs()} ${chunk.byteLength}`);
      })();
      for (let count = 0; count < 20; count++) await world.complete(near.write([new Uint8Array(5000)]));
      near.end();
      await world.complete(reading);
      return `${trace.join()} ${network.random.drawnCount}`;
    };
    expect(await traceOf(3)).toBe(await traceOf(3));
    expect(await traceOf(3)).not.toBe(await traceOf(4));
  });
});
