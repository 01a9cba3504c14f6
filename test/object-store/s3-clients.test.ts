// Clients of an S3 server over TLS, with an authority that only its operator knows.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { silentLog } from "../../src/host/log.ts";
import { S3ObjectStore } from "../../src/object-store/s3.ts";
import { ManualClock } from "../kafka/manual-clock.ts";
import { FakeS3Server } from "./fake-s3-server.ts";

const { signal } = new AbortController();
const fixture = (name: string) => readFileSync(join(import.meta.dirname, "fixtures", name), "utf8");

async function openTls(loadAuthorities: (() => Promise<readonly string[]>) | undefined): Promise<S3ObjectStore> {
  // Made for these tests, with a key that everybody may know.
  const server = await FakeS3Server.open({ tls: { key: fixture("server.key"), cert: fixture("server.pem") } });
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
      clock: new ManualClock(),
      log: silentLog,
      credentials: { mayChange: false, load: () => Promise.resolve({ accessKeyId: "key", secretAccessKey: "s" }) },
      loadAuthorities,
    },
  );
  onTestFinished(async () => {
    store.close();
    await server.close();
  });
  return store;
}

describe("an S3 client over TLS", () => {
  it("trusts an authority that it is given", async () => {
    const store = await openTls(() => Promise.resolve([fixture("authority.pem")]));
    await store.put("a", [new Uint8Array(100)], { signal, ifAbsent: true });
    expect((await store.get("a", { signal })).byteLength).toBe(100);
  });

  it("refuses a certificate of an unknown authority, and says which setting names one", async () => {
    const store = await openTls(undefined);
    await expect(store.get("a", { signal })).rejects.toThrow(
      expect.objectContaining({
        kind: "denied",
        message: expect.stringContaining("KAFSCALE_S3_CA_FILE") as string,
      }) as Error,
    );
  });

  it("reads the authorities again when a certificate is refused, so that a replaced one needs no restart", async () => {
    const answers = [[], [], [fixture("authority.pem")]];
    const store = await openTls(() => Promise.resolve(answers.shift() ?? []));
    await expect(store.put("a", [], { signal, ifAbsent: true })).rejects.toThrow("not trusted");
    await store.put("a", [], { signal, ifAbsent: true });
    expect(await store.head("a", { signal })).toEqual({ bytes: 0 });
  });
});
