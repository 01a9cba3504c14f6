// etcd's adapter under the contract of the seam, on a real server.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { EtcdKeyValueStore } from "../../src/kv/etcd.ts";
import type { KeyValueStore } from "../../src/kv/key-value-store.ts";
import { describeKeyValueStore } from "../kv/key-value-store-contract.ts";
import { EtcdServer } from "./etcd-server.ts";
import { describeWithTools } from "./tools.ts";

const signal = new AbortController().signal;

describeWithTools("etcd", ["etcd"], () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await EtcdServer.start();
  });
  afterAll(async () => {
    await server.stop();
  });

  const openStore = () => {
    const parts = { clock: new SystemClock(), random: new SystemRandom(), log: silentLog };
    return new EtcdKeyValueStore({ endpoints: [server.endpoint], ...parts });
  };

  describeKeyValueStore("etcd", async () => {
    const store = openStore();
    return {
      store,
      expireLease: async (lease) => {
        const id = BigInt(lease).toString(16);
        while (!(await server.control("lease", "timetolive", id)).includes("already expired")) await sleep(100);
      },
      compact: async (revision) => {
        await server.control("compaction", String(revision));
      },
      close: async () => store.close(),
    };
  });

  /** Puts `count` keys below `prefix`, as many at once as one transaction takes. */
  async function fill(store: KeyValueStore, prefix: string, { count, bytes }: { count: number; bytes: number }) {
    const perTxn = Math.max(1, Math.min(64, Math.floor(200_000 / bytes)));
    for (let first = 0; first < count; first += perTxn) {
      const keys = Array.from({ length: Math.min(perTxn, count - first) }, (_, index) => first + index);
      const value = new Uint8Array(bytes).fill(1);
      const then = keys.map((key) => ({ type: "put", key: prefix + String(key).padStart(6, "0"), value }) as const);
      await store.txn({ compare: [], then }, { signal });
    }
  }

  it("gives a range of many pages as of one revision, while its keys change", async () => {
    const store = openStore();
    onTestFinished(() => store.close());
    await fill(store, "/pages/", { count: 3500, bytes: 10 });
    const before = await store.range("/pages/", { signal });
    let isReading = true;
    const changing = (async () => {
      for (let round = 0; isReading; round++) {
        const key = `/pages/${String((round * 977) % 3500).padStart(6, "0")}`;
        await store.txn({ compare: [], then: [{ type: "delete", key }] }, { signal });
      }
    })();
    const ranges = [];
    for (let count = 0; count < 10; count++) ranges.push(await store.range("/pages/", { signal }));
    isReading = false;
    await changing;
    expect(before.entries).toHaveLength(3500);
    // Every change deletes one key in one revision: as many are gone as the revision went on.
    for (const { revision, entries } of ranges) expect(entries).toHaveLength(3500 - (revision - before.revision));
    expect(ranges.at(-1)?.entries.length).toBeLessThan(3500);
  });

  it("does not take a watch for broken below whose prefix nothing happens", async () => {
    const store = openStore();
    onTestFinished(() => store.close());
    const { revision } = await store.get("/quiet/a", { signal });
    const watch = store.watch("/quiet/", { signal, fromRevision: revision + 1 });
    const next = watch.next();
    for (let index = 0; index < 24; index++) {
      await store.txn({ compare: [], then: [{ type: "put", key: "/loud", value: new Uint8Array(1) }] }, { signal });
      await sleep(500);
    }
    const put = { type: "put", key: "/quiet/a", value: new Uint8Array(1) } as const;
    const { revision: changed } = await store.txn({ compare: [], then: [put] }, { signal });
    expect((await next).value).toMatchObject({ revision: changed });
    await watch.return?.();
  });

  it("reads a range whose page would be larger than the client takes", async () => {
    const store = openStore();
    onTestFinished(() => store.close());
    await fill(store, "/large/", { count: 300, bytes: 250_000 });
    const { entries } = await store.range("/large/", { signal });
    expect(entries).toHaveLength(300);
    expect(entries.every(({ value }) => value.byteLength === 250_000)).toBe(true);
  });
});
