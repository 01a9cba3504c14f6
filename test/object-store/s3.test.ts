// The S3 store against a server that lies: what it takes for done, for not done, and for unknown.
import { setMaxListeners } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Clock } from "../../src/host/clock.ts";
import { silentLog } from "../../src/host/log.ts";
import { SystemClock } from "../../src/host/system-clock.ts";
import { ObjectStoreError, type ObjectStoreErrorKind } from "../../src/object-store/object-store.ts";
import { S3ObjectStore, type S3Settings } from "../../src/object-store/s3.ts";
import type { S3CredentialSource } from "../../src/object-store/s3-credentials.ts";
import { ManualClock } from "../kafka/manual-clock.ts";
import { FakeS3Server } from "./fake-s3-server.ts";
import { describeObjectStore } from "./object-store-contract.ts";

const { signal } = new AbortController();
setMaxListeners(0, signal);
const create = { signal, ifAbsent: true };
const replace = { signal, ifAbsent: false };
const staticKeys: S3CredentialSource = {
  mayChange: false,
  load: () => Promise.resolve({ accessKeyId: "key", secretAccessKey: "secret" }),
};

interface Choices {
  readonly settings?: Partial<S3Settings>;
  readonly clock?: Clock;
  readonly credentials?: S3CredentialSource;
}

async function openStore(server: FakeS3Server, { settings, clock, credentials }: Choices = {}): Promise<S3ObjectStore> {
  const store = await S3ObjectStore.open(
    {
      bucket: FakeS3Server.bucket,
      region: FakeS3Server.region,
      endpoint: server.endpoint,
      isPathStyle: true,
      isPayloadSigned: false,
      socketsMax: 64,
      kmsKeyArn: undefined,
      attemptTimeoutMs: 10_000,
      ...settings,
    },
    { clock: clock ?? new SystemClock(), log: silentLog, credentials: credentials ?? staticKeys },
  );
  onTestFinished(() => store.close());
  return store;
}

async function world(choices: Choices = {}): Promise<{ server: FakeS3Server; store: S3ObjectStore }> {
  const server = await FakeS3Server.open();
  onTestFinished(() => server.close());
  return { server, store: await openStore(server, choices) };
}

async function failureOf(promise: Promise<unknown>): Promise<ObjectStoreError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ObjectStoreError);
  return error as ObjectStoreError;
}

async function expectKind(promise: Promise<unknown>, kind: ObjectStoreErrorKind): Promise<void> {
  expect((await failureOf(promise)).kind).toBe(kind);
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}

for (const isPayloadSigned of [false, true]) {
  describeObjectStore(`S3 with ${isPayloadSigned ? "signed" : "unsigned"} payloads`, async () => {
    const server = await FakeS3Server.open();
    const store = await openStore(server, { settings: { isPayloadSigned } });
    return { store, close: () => server.close() };
  });
}

describe("a put to S3", () => {
  it("takes an answer that was lost for done, when what stands there is what it wrote", async () => {
    const { server, store } = await world();
    server.failOnce({ type: "reset-after" }, ({ method }) => method === "PUT");
    await store.put("a", [bytes("one "), bytes("two")], create);
    expect(server.requests.map(({ method }) => method)).toEqual(["PUT", "HEAD"]);
    expect(text(await store.get("a", { signal }))).toBe("one two");
  });

  it("is unknown when the connection broke and nothing stands there", async () => {
    const { server, store } = await world();
    server.failOnce({ type: "reset-before" }, ({ method }) => method === "PUT");
    await expectKind(store.put("a", [bytes("x")], create), "unknown");
    expect(server.objects.size).toBe(0);
  });

  it("is unknown when it replaces and its answer was lost", async () => {
    const { server, store } = await world();
    server.failOnce({ type: "reset-after" });
    await expectKind(store.put("a", [bytes("x")], replace), "unknown");
    expect(server.requests).toHaveLength(1);
  });

  it("is done when an earlier try of the same bytes is there, and refused when other bytes are", async () => {
    const { server, store } = await world();
    await store.put("a", [bytes("same")], create);
    await store.put("a", [bytes("sa"), bytes("me")], create);
    await expectKind(store.put("a", [bytes("else")], create), "already-exists");
    server.failOnce({ type: "reset-before" }, ({ method }) => method === "PUT");
    await expectKind(store.put("a", [bytes("lost")], create), "already-exists");
    expect(text(await store.get("a", { signal }))).toBe("same");
  });

  it("refuses to take an object for its own whose checksum the store does not tell", async () => {
    const { server, store } = await world();
    server.faultOf = () => ({ type: "ignore-checksum" });
    await store.put("a", [bytes("same")], create);
    await expectKind(store.put("a", [bytes("same")], create), "already-exists");
  });

  it("ends at its deadline when the server never answers, with an unknown outcome", async () => {
    const clock = new ManualClock();
    const { server, store } = await world({ clock });
    server.failOnce({ type: "stall" });
    const put = failureOf(store.put("a", [bytes("x")], create));
    await server.received(1);
    await clock.advance(9_999);
    expect(clock.timerCount).toBe(1);
    await clock.advance(1);
    expect((await put).kind).toBe("unknown");
    // It was done: the same bytes to the same key find it.
    await store.put("a", [bytes("x")], create);
  });

  it("ends when its caller gives up, with an unknown outcome", async () => {
    const { server, store } = await world();
    server.failOnce({ type: "stall" });
    const caller = new AbortController();
    const put = failureOf(store.put("a", [bytes("x")], { ifAbsent: true, signal: caller.signal }));
    await server.received(1);
    caller.abort(new Error("stopped"));
    expect((await put).kind).toBe("unknown");
  });

  it.each([
    [503, "SlowDown", "unavailable"],
    [503, "ServiceUnavailable", "unavailable"],
    [429, "TooManyRequests", "unavailable"],
    [409, "ConditionalRequestConflict", "unavailable"],
    [400, "RequestTimeout", "unavailable"],
    [500, "InternalError", "unknown"],
    [502, "BadGateway", "unknown"],
    [504, "GatewayTimeout", "unknown"],
    [404, "PageNotFound", "unknown"],
    [403, "AccessDenied", "denied"],
    [501, "NotImplemented", "denied"],
  ] as const)("answered with %i %s is %s, after one attempt", async (status, code, kind) => {
    const { server, store } = await world();
    server.faultOf = () => ({ type: "error", status, code });
    await expectKind(store.put("a", [bytes("x")], create), kind);
    expect(server.requests).toHaveLength(1);
    expect(server.objects.size).toBe(0);
  });

  it("sends its CRC-32C, one body of known length, no other checksum, and waits for no 100 Continue", async () => {
    const { server, store } = await world();
    const parts = [new Uint8Array(3 * 1024 * 1024).fill(7), ...Array.from({ length: 300 }, () => bytes("small part"))];
    await store.put("a", parts, create);
    const { headers } = server.requests[0] ?? {};
    expect(headers).toMatchObject({
      "content-length": String(3 * 1024 * 1024 + 3000),
      "if-none-match": "*",
      "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
      "x-amz-checksum-crc32c": expect.any(String) as string,
    });
    for (const name of ["expect", "transfer-encoding", "x-amz-checksum-crc32", "content-md5", "x-amz-trailer"]) {
      expect(headers, name).not.toHaveProperty(name);
    }
    expect(Buffer.concat(parts).equals(await store.get("a", { signal }))).toBe(true);
  });

  it("asks for encryption with the key that is set, and with none otherwise", async () => {
    const kmsKeyArn = "arn:aws:kms:us-east-1:1234:key/abcd";
    const { server, store } = await world({ settings: { kmsKeyArn } });
    await store.put("a", [bytes("x")], create);
    expect(server.requests[0]?.headers).toMatchObject({
      "x-amz-server-side-encryption": "aws:kms",
      "x-amz-server-side-encryption-aws-kms-key-id": kmsKeyArn,
    });
    const plain = await openStore(server);
    await plain.put("b", [bytes("x")], create);
    expect(server.requests[1]?.headers).not.toHaveProperty("x-amz-server-side-encryption");
  });
});

describe("a read from S3", () => {
  it.each([
    ["a body that ends early", { type: "truncate", bytes: 5 }],
    ["a body with another byte than was put", { type: "damage" }],
    ["an error document in the place of the object", { type: "error-as-body" }],
  ] as const)("never takes %s for the object", async (_, fault) => {
    const { server, store } = await world();
    await store.put("a", [bytes("0123456789")], create);
    server.failOnce(fault);
    const error = await failureOf(store.get("a", { signal }));
    expect(["unavailable", "unknown"]).toContain(error.kind);
    expect(text(await store.get("a", { signal }))).toBe("0123456789");
  });

  it.each([
    ["a range that ends early", { type: "truncate", bytes: 2 }],
    ["the whole object in the place of a range", { type: "ignore-range" }],
    ["an error document in the place of a range", { type: "error-as-body" }],
  ] as const)("never takes %s for the range", async (_, fault) => {
    const { server, store } = await world();
    await store.put("a", [bytes("0123456789")], create);
    server.failOnce(fault);
    const range = { start: 2, length: 4 };
    const error = await failureOf(store.get("a", { signal, range }));
    expect(["unavailable", "unknown", "denied"]).toContain(error.kind);
    expect(text(await store.get("a", { signal, range }))).toBe("2345");
  });

  it("ends at its deadline when the body stalls half-way", async () => {
    const clock = new ManualClock();
    const { server, store } = await world({ clock });
    await store.put("a", [bytes("0123456789")], create);
    server.failOnce({ type: "stall-body", bytes: 5 });
    const read = failureOf(store.get("a", { signal }));
    await server.received(2);
    await clock.advance(10_000);
    expect((await read).kind).toBe("unknown");
  });

  it("says not-found only where the store says that the key is not there", async () => {
    const { server, store } = await world();
    await expectKind(store.get("none", { signal }), "not-found");
    server.faultOf = () => ({ type: "error", status: 404, code: "NoSuchBucket" });
    const error = await failureOf(store.head("a", { signal }));
    expect(error.kind).toBe("denied");
    expect(error.message).toContain("there is no bucket bucket");
    server.faultOf = () => ({ type: "error", status: 404, code: "NotHere" });
    await expectKind(store.get("a", { signal }), "unknown");
  });
});

describe("calls of S3", () => {
  it("go through connections of their own for writes and reads, so that stuck reads hold up no write", async () => {
    const { server, store } = await world({ settings: { socketsMax: 1 } });
    await store.put("a", [bytes("x")], create);
    server.faultOf = ({ method }) => (method === "GET" ? { type: "stall" } : undefined);
    const caller = new AbortController();
    const stuck = failureOf(store.get("a", { signal: caller.signal }));
    await server.received(2);
    await store.put("b", [bytes("x")], create);
    await store.delete(["b"], { signal });
    caller.abort();
    expect((await stuck).kind).toBe("unknown");
  });

  it("are sent again with the right time after the store has told how wrong the clock is", async () => {
    const { server, store } = await world();
    server.skewMs = 3_600_000;
    await store.put("a", [bytes("x")], create);
    expect(server.requests).toHaveLength(2);
    await store.put("b", [bytes("x")], create);
    expect(server.requests).toHaveLength(3);
    expect(Math.round((store.clockSkewMs ?? 0) / 60_000)).toBe(60);
  });

  it("tell how far the clock is off when the store goes on to refuse", async () => {
    const { server, store } = await world();
    server.faultOf = () => ({ type: "error", status: 403, code: "RequestTimeTooSkewed" });
    const error = await failureOf(store.put("a", [bytes("x")], create));
    expect(error.kind).toBe("denied");
    expect(error.message).toContain("set the clock");
  });

  it("pass while keys are replaced, and never again with the old ones", async () => {
    const identities = [
      { accessKeyId: "old", secretAccessKey: "s", sessionToken: "t1" },
      { accessKeyId: "new", secretAccessKey: "s", sessionToken: "t2" },
    ];
    const clock = new ManualClock();
    const credentials: S3CredentialSource = {
      mayChange: true,
      load: () => Promise.resolve(identities[0] ?? { accessKeyId: "", secretAccessKey: "" }),
    };
    const { server, store } = await world({ clock, credentials });
    server.accessKeys.set("old", "t1");
    await store.put("before", [bytes("x")], create);
    identities.shift();
    server.accessKeys.delete("old");
    server.accessKeys.set("new", "t2");
    await clock.advance(2_000);
    const puts = Array.from({ length: 10 }, (_, index) => store.put(`after/${index}`, [bytes("x")], create));
    await Promise.all([...puts, store.head("before", { signal }), store.get("before", { signal })]);
    server.requests.length = 0;
    await store.get("before", { signal });
    expect(server.requests.map(({ accessKeyId }) => accessKeyId)).toEqual(["new"]);
  });

  it("wait for keys that may come, and are denied with keys that cannot change", async () => {
    const clock = new ManualClock();
    const load = () => Promise.resolve({ accessKeyId: "gone", secretAccessKey: "s" });
    const { server, store } = await world({ clock, credentials: { mayChange: true, load } });
    await expectKind(store.put("a", [bytes("x")], create), "unavailable");
    const fixed = await openStore(server, { credentials: { mayChange: false, load } });
    await expectKind(fixed.put("a", [bytes("x")], create), "denied");
  });

  it("name the region of the bucket when it is another one", async () => {
    const { store } = await world({ settings: { region: "eu-west-1" } });
    const error = await failureOf(store.put("a", [bytes("x")], create));
    expect(error.kind).toBe("denied");
    expect(error.message).toContain("is in region us-east-1: set KAFSCALE_S3_REGION, which is eu-west-1");
  });

  it("are known not to be done when nobody listens", async () => {
    const { server, store } = await world();
    await server.close();
    await expectKind(store.put("a", [bytes("x")], create), "unavailable");
    await FakeS3Server.open().then((other) => onTestFinished(() => other.close()));
  });
});

describe("what a bucket can do", () => {
  it("is asked for its versions, and an answer that is not allowed is one", async () => {
    for (const [versioning, expected] of [
      [undefined, "off"],
      ["Enabled", "enabled"],
      ["Suspended", "suspended"],
    ] as const) {
      const server = await FakeS3Server.open(versioning === undefined ? {} : { versioning });
      onTestFinished(() => server.close());
      const store = await openStore(server);
      expect(await store.versioning({ signal })).toBe(expected);
      server.faultOf = () => ({ type: "error", status: 403, code: "AccessDenied" });
      expect(await store.versioning({ signal })).toBe("not-told");
    }
  });

  it("shows in a put with a wrong checksum", async () => {
    const { server, store } = await world();
    expect(await store.refusesWrongChecksum("a", { signal })).toBe(true);
    expect(server.objects.size).toBe(0);
    server.faultOf = () => ({ type: "ignore-checksum" });
    expect(await store.refusesWrongChecksum("a", { signal })).toBe(false);
    expect(await store.keepsChecksum("a", { signal })).toBe(false);
  });
});
