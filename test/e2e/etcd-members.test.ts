// etcd's adapter on a cluster of three members: one that dies, one that stands still, one that is left without the others.
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { EtcdKeyValueStore } from "../../src/kv/etcd.ts";
import { KvError, type TxnResult } from "../../src/kv/key-value-store.ts";
import { EtcdServer } from "./etcd-server.ts";
import { describeWithTools } from "./tools.ts";

const signal = new AbortController().signal;

/** A store whose calls go to the first of `servers` until that one fails. */
function openStore(servers: readonly EtcdServer[]): EtcdKeyValueStore {
  const random = { uniform: () => 0, bytes: () => new Uint8Array() };
  const parts = { clock: new SystemClock(), random, log: silentLog };
  const store = new EtcdKeyValueStore({ endpoints: servers.map(({ endpoint }) => endpoint), ...parts });
  onTestFinished(() => store.close());
  return store;
}

/** The member that leads, first, and the others. */
async function byLeadership(servers: readonly EtcdServer[]): Promise<readonly [EtcdServer, ...EtcdServer[]]> {
  for (const server of servers) {
    const [line = ""] = (await server.control("endpoint", "status")).split("\n");
    if (/, true, false, /.test(line)) return [server, ...servers.filter((other) => other !== server)];
  }
  throw new Error("no member leads");
}

/** Counts up one key, each step comparing the one before, sending a step again until its outcome is known. */
class Counter {
  readonly #store: EtcdKeyValueStore;
  readonly #key: string;
  #n = 0;
  longestMs = 0;

  constructor(store: EtcdKeyValueStore, key: string) {
    this.#store = store;
    this.#key = key;
  }

  async step(): Promise<void> {
    const start = performance.now();
    const [before, after] = [String(this.#n), String(this.#n + 1)].map((text) => new TextEncoder().encode(text));
    if (!before || !after) return;
    const { result, wasUnknown } = await this.#untilKnown(before, after);
    const found = result.succeeded ? after : result.results[0]?.value;
    // A refused compare is right only when an earlier copy of this very step was applied.
    expect({ found, isExplained: result.succeeded || wasUnknown }).toEqual({ found: after, isExplained: true });
    this.#n++;
    this.longestMs = Math.max(this.longestMs, performance.now() - start);
  }

  async #untilKnown(before: Uint8Array, after: Uint8Array): Promise<{ result: TxnResult; wasUnknown: boolean }> {
    const isFirst = this.#n === 0;
    const compare = isFirst
      ? ({ key: this.#key, target: "create", equals: 0 } as const)
      : ({ key: this.#key, target: "value", equals: before } as const);
    const txn = {
      compare: [compare],
      then: [{ type: "put", key: this.#key, value: after } as const],
      otherwise: [{ type: "get", key: this.#key } as const],
    };
    for (let wasUnknown = false; ; ) {
      try {
        return { result: await this.#store.txn(txn, { signal }), wasUnknown };
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
        expect(error.kind).toMatch(/^(unknown|unavailable)$/);
        wasUnknown ||= error.kind === "unknown";
      }
    }
  }
}

describeWithTools("etcd with three members", ["etcd"], () => {
  let servers: readonly EtcdServer[];
  beforeAll(async () => {
    servers = await EtcdServer.startMembers(3);
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
  });

  it("counts on without a wrong step when the leader dies, and again when it is back", async () => {
    const [leader, ...followers] = await byLeadership(servers);
    const counter = new Counter(openStore([leader, ...followers]), "leader-dies");
    for (let index = 0; index < 50; index++) await counter.step();
    await leader.killHard();
    const end = performance.now() + 4000;
    while (performance.now() < end) await counter.step();
    await leader.restart();
    for (let index = 0; index < 50; index++) await counter.step();
    expect(counter.longestMs).toBeLessThan(8000);
  });

  it("leaves a member that stands still after one deadline", async () => {
    const [leader, follower] = await byLeadership(servers);
    if (!follower) throw new Error("no follower");
    const store = openStore([follower, leader]);
    const counter = new Counter(store, "stands-still");
    for (let index = 0; index < 20; index++) await counter.step();
    await follower.program.freeze();
    onTestFinished(() => follower.program.signal("SIGCONT"));
    for (let index = 0; index < 200; index++) await counter.step();
    // It was met, once: the adapter's deadline for a call is 2.5 s.
    expect(counter.longestMs).toBeGreaterThan(2000);
    expect(counter.longestMs).toBeLessThan(3500);
  });

  it("ends the watches and refuses the calls of a member that is left without the others", async () => {
    const [leader, left, other] = await byLeadership(servers);
    if (!left || !other) throw new Error("no followers");
    const store = openStore([left]);
    const { revision } = await store.txn(
      { compare: [], then: [{ type: "put", key: "left/a", value: new Uint8Array(1) }] },
      { signal },
    );
    const watch = store.watch("left/", { signal, fromRevision: revision });
    await watch.next();
    const start = performance.now();
    const ending = watch.next().catch((error: unknown) => error);
    for (const server of [leader, other]) await server.program.freeze();
    onTestFinished(() => {
      for (const server of [leader, other]) server.program.signal("SIGCONT");
    });
    expect(await ending).toMatchObject({ kind: "unknown", message: expect.stringContaining("no leader") as unknown });
    expect(performance.now() - start).toBeLessThan(12_000);
    await expect(store.get("left/a", { signal })).rejects.toMatchObject({ kind: "unknown" });
  });
});
