// etcd's adapter under the contract of the seam, on a real server.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { EtcdKeyValueStore } from "../../src/kv/etcd.ts";
import { describeKeyValueStore } from "../kv/key-value-store-contract.ts";
import { EtcdServer } from "./etcd-server.ts";
import { describeWithTools } from "./tools.ts";

describeWithTools("etcd", ["etcd"], () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await EtcdServer.start();
  });
  afterAll(async () => {
    await server.stop();
  });

  describeKeyValueStore("etcd", async () => {
    const parts = { clock: new SystemClock(), random: new SystemRandom(), log: silentLog };
    const store = new EtcdKeyValueStore({ endpoints: [server.endpoint], ...parts });
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
});
