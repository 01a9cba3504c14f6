// The probe at the start: what it refuses, what it reports, and that it leaves nothing behind.
import { describe, expect, it, onTestFinished } from "vitest";
import type { Clock } from "../../src/host/clock.ts";
import { type Log, type LogFields, silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { probeCapabilities, type StoreReport } from "../../src/object-store/probe.ts";
import { S3ObjectStore } from "../../src/object-store/s3.ts";
import { type FakeS3Options, FakeS3Server } from "./fake-s3-server.ts";

/** Time that stands still but for pauses between tries, which it takes at once. */
class PausingClock implements Clock {
  #nowMs = 0;

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    if (delayMs > 1_000) return () => {};
    const pause = setImmediate(() => {
      this.#nowMs += delayMs;
      fire();
    });
    return () => clearImmediate(pause);
  }
}

interface World {
  readonly server: FakeS3Server;
  readonly warnings: string[];
  readonly clock: PausingClock;
  readonly probe: () => Promise<StoreReport>;
}

async function world(options: FakeS3Options = {}): Promise<World> {
  const server = await FakeS3Server.open(options);
  const clock = new PausingClock();
  const warnings: string[] = [];
  const warn = (message: string, fields?: LogFields) => warnings.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const log: Log = { ...silentLog, warn };
  const store = await S3ObjectStore.open(
    {
      bucket: FakeS3Server.bucket,
      region: FakeS3Server.region,
      endpoint: server.endpoint,
      isPathStyle: true,
      isPayloadSigned: false,
      socketsMax: 4,
      kmsKeyArn: undefined,
      attemptTimeoutMs: 10_000,
    },
    {
      clock: new SystemClock(),
      log,
      credentials: { mayChange: false, load: () => Promise.resolve({ accessKeyId: "key", secretAccessKey: "s" }) },
    },
  );
  onTestFinished(async () => {
    store.close();
    await server.close();
  });
  let keyCount = 0;
  const random = { bytes: (count: number) => new Uint8Array(count).fill(keyCount++), uniform: () => 0 };
  const keyOf = (unique: string) => `prefix/probe/0-${unique}`;
  const { signal } = new AbortController();
  return { server, warnings, clock, probe: () => probeCapabilities({ store, clock, random, log, keyOf, signal }) };
}

describe("the probe of a bucket", () => {
  it("reports what the store can do, and leaves no object behind", async () => {
    const { server, probe, warnings } = await world();
    expect(await probe()).toMatchObject({ areUploadsChecked: true, areChecksumsKept: true, versioning: "off" });
    expect([...server.objects.keys()]).toEqual([]);
    expect(warnings).toEqual([]);
    const puts = server.requests.filter(({ method }) => method === "PUT");
    const conditional = puts.filter(({ headers }) => headers["if-none-match"] === "*");
    expect(conditional).toHaveLength(2);
    expect(new Set(conditional.map(({ key }) => key)).size).toBe(1);
    expect(puts).toHaveLength(3);
  });

  it("refuses a store that ignores If-None-Match, and removes what it wrote there", async () => {
    const { server, probe } = await world();
    server.faultOf = () => ({ type: "ignore-precondition" });
    await expect(probe()).rejects.toThrow("it ignores If-None-Match");
    expect(server.objects.size).toBe(0);
  });

  it("removes what calls put that were under way when another one failed", async () => {
    const { server, probe } = await world();
    server.faultOf = ({ method, headers, key }) => {
      if (method === "PUT" && key.endsWith("-damaged")) return { type: "ignore-checksum" };
      return headers.range === undefined ? undefined : { type: "error", status: 403, code: "AccessDenied" };
    };
    await expect(probe()).rejects.toThrow("s3:GetObject");
    expect(server.requests.some(({ method, key }) => method === "PUT" && key.endsWith("-damaged"))).toBe(true);
    expect(server.objects.size).toBe(0);
  });

  it("refuses a store that ignores ranges", async () => {
    const { server, probe } = await world();
    server.faultOf = () => ({ type: "ignore-range" });
    await expect(probe()).rejects.toThrow("the store ignores ranges");
    expect(server.objects.size).toBe(0);
  });

  it.each([
    ["PUT", "put"],
    ["GET", "get"],
    ["DELETE", "delete"],
  ])("names the rights when a %s is refused", async (method, what) => {
    const { server, probe } = await world();
    server.faultOf = (request) =>
      request.method === method || (method === "DELETE" && request.query.has("delete"))
        ? { type: "error", status: 403, code: "AccessDenied" }
        : undefined;
    await expect(probe()).rejects.toThrow(
      new RegExp(`${what} .*s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on bucket bucket`),
    );
  });

  it("names the right to list when an absent object is answered like a forbidden one", async () => {
    const { server, probe } = await world();
    server.faultOf = ({ method, key }) =>
      method === "GET" && key !== "" && !server.objects.has(key)
        ? { type: "error", status: 403, code: "AccessDenied" }
        : undefined;
    await expect(probe()).rejects.toThrow("allow s3:ListBucket on the bucket");
    expect(server.objects.size).toBe(0);
  });

  it("tells which rule a bucket with versions needs", async () => {
    for (const versioning of ["Enabled", "Suspended"] as const) {
      const { probe, warnings } = await world({ versioning });
      expect((await probe()).versioning).toBe(versioning.toLowerCase());
      expect(warnings).toEqual([expect.stringContaining("NoncurrentVersionExpiration")]);
    }
  });

  it("goes on without the right to ask for versions", async () => {
    const { server, probe } = await world();
    server.faultOf = ({ query }) =>
      query.has("versioning") ? { type: "error", status: 403, code: "AccessDenied" } : undefined;
    expect((await probe()).versioning).toBe("not-told");
  });

  it("says so when the store takes an upload that does not match its checksum, and removes it", async () => {
    const { server, probe, warnings } = await world();
    server.faultOf = () => ({ type: "ignore-checksum" });
    expect(await probe()).toMatchObject({ areUploadsChecked: false, areChecksumsKept: false });
    expect(warnings).toEqual([expect.stringContaining("does not check CRC-32C")]);
    expect(server.objects.size).toBe(0);
  });

  it("reports a wrong clock", async () => {
    const { server, probe, warnings } = await world();
    server.skewMs = 3_600_000;
    const { clockSkewMs } = await probe();
    expect(Math.round((clockSkewMs ?? 0) / 60_000)).toBe(60);
    expect(warnings).toEqual([expect.stringContaining("set the clock")]);
  });

  it("waits for a store that comes up, and fails with its last answer when it does not in 30 s", async () => {
    const { server, probe, clock, warnings } = await world();
    const isDown = { type: "error", status: 503, code: "SlowDown" } as const;
    server.faultOf = () => (clock.monotonicMs() < 5_000 ? isDown : undefined);
    expect((await probe()).tookMs).toBe(5_000);
    expect(warnings).toHaveLength(10);
    server.faultOf = () => isDown;
    await expect(probe()).rejects.toThrow("503 SlowDown");
    expect(clock.monotonicMs()).toBe(5_000 + 30_500);
  });
});
