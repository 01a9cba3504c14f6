// The S3 store on real servers: the contract of the seam, the probe of a start, what each refusal says, and the large
// bodies that a server refuses before it has read them.
import { setMaxListeners } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { SystemRandom } from "../../src/host/system-random.ts";
import { ObjectStoreError } from "../../src/object-store/object-store.ts";
import { probeCapabilities } from "../../src/object-store/probe.ts";
import { S3ObjectStore, type S3Settings } from "../../src/object-store/s3.ts";
import { describeObjectStore } from "../object-store/object-store-contract.ts";
import { S3Server, type S3ServerName, s3Access, s3ServerNames } from "./s3-server.ts";
import { describeWithTools } from "./tools.ts";

const { signal } = new AbortController();
setMaxListeners(0, signal);
const create = { signal, ifAbsent: true };

interface Choices extends Partial<S3Settings> {
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
}

function openStore(server: S3Server, choices: Choices = {}): Promise<S3ObjectStore> {
  const { accessKeyId = s3Access.accessKeyId, secretAccessKey = s3Access.secretAccessKey, ...settings } = choices;
  return S3ObjectStore.open(
    {
      bucket: server.bucket,
      region: s3Access.region,
      endpoint: server.endpoint,
      isPathStyle: true,
      isPayloadSigned: false,
      socketsMax: 64,
      kmsKeyArn: undefined,
      attemptTimeoutMs: 10_000,
      ...settings,
    },
    {
      clock: new SystemClock(),
      log: silentLog,
      credentials: { mayChange: false, load: () => Promise.resolve({ accessKeyId, secretAccessKey }) },
    },
  );
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ObjectStoreError);
  return `${(error as ObjectStoreError).kind}: ${(error as ObjectStoreError).message}`;
}

function describeServer(name: S3ServerName): void {
  let server: S3Server;
  beforeAll(async () => {
    server = await S3Server.start(name);
  });
  afterAll(() => server?.stop());

  for (const isPayloadSigned of [false, true]) {
    const open = async () => {
      const store = await openStore(server, { isPayloadSigned });
      return { store, close: () => Promise.resolve(store.close()) };
    };
    const title = `${name} with ${isPayloadSigned ? "signed" : "unsigned"} payloads`;
    describeObjectStore(title, open, { mayKeysNest: false });
  }

  it("passes the probe, which leaves no object behind", async () => {
    const store = await openStore(server);
    const parts = { store, clock: new SystemClock(), random: new SystemRandom(), log: silentLog, signal };
    const report = await probeCapabilities({ ...parts, keyOf: (unique) => `probed/probe/0-${unique}` });
    expect(report).toMatchObject({ areUploadsChecked: true, areChecksumsKept: true, versioning: "off" });
    expect(Math.abs(report.clockSkewMs ?? Number.NaN)).toBeLessThan(5_000);
    expect((await store.list("probed/", { signal, limit: 10 })).objects).toEqual([]);
    store.close();
  });

  it("tells of 20 puts of 8 MiB to a key that is taken whether it was by the same bytes", async () => {
    const store = await openStore(server);
    const body = new Uint8Array(8 * 1024 * 1024).fill(1);
    const other = new Uint8Array(8 * 1024 * 1024).fill(2);
    await store.put("large", [body], create);
    for (let round = 0; round < 10; round++) {
      await store.put("large", [body], create);
      expect(await messageOf(store.put("large", [other], create))).toContain("already-exists");
    }
    store.close();
  });

  it("has one line for each thing that an operator may have set wrong", async () => {
    const get = async (choices: Choices) => {
      const store = await openStore(server, choices);
      const message = await messageOf(store.get("a", { signal }));
      store.close();
      return message;
    };
    expect(await get({ bucket: "nobody" })).toContain("denied: get a: there is no bucket nobody at http://127.0.0.1");
    expect(await get({ accessKeyId: "nobody" })).toContain("denied: get a: the store does not know the access key");
    expect(await get({ secretAccessKey: "wrong" })).toContain(
      "denied: get a: the secret key does not belong to the access key",
    );
    expect(await get({ endpoint: server.endpoint.replace("http:", "https:") })).toContain(
      "is it http instead of https",
    );
    expect(await get({ endpoint: "http://127.0.0.1:1" })).toContain("unavailable: get a: http://127.0.0.1:1 cannot be");
    // MinIO takes any region unless it is told one.
    if (name !== "minio") expect(await get({ region: "eu-west-1" })).toContain("set KAFSCALE_S3_REGION");
  });
}

for (const name of s3ServerNames) describeWithTools(`${name} as S3`, [name], () => describeServer(name));
