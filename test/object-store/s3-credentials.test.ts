// Keys that change: who waits for them, who asks for them again, and how often.
import { describe, expect, it } from "vitest";
import { RotatingCredentials, type S3Identity } from "../../src/object-store/s3-credentials.ts";
import { ManualClock, quiet } from "../kafka/manual-clock.ts";

interface World {
  readonly clock: ManualClock;
  readonly credentials: RotatingCredentials;
  /** The keys that the source has now. */
  accessKeyId: string;
  expiration: Date | undefined;
  error: Error | undefined;
  loadCount: number;
}

function world(mayChange = true): World {
  const clock = new ManualClock();
  const load = (): Promise<S3Identity> => {
    made.loadCount++;
    if (made.error) return Promise.reject(made.error);
    return Promise.resolve({ accessKeyId: made.accessKeyId, secretAccessKey: "s", expiration: made.expiration });
  };
  const credentials = new RotatingCredentials({ mayChange, load }, clock);
  const made: World = {
    clock,
    credentials,
    accessKeyId: "first",
    expiration: undefined,
    error: undefined,
    loadCount: 0,
  };
  return made;
}

describe("rotating credentials", () => {
  it("are loaded once for many requests", async () => {
    const w = world();
    const identities = await Promise.all(Array.from({ length: 10 }, () => w.credentials.current()));
    expect(new Set(identities.map(({ accessKeyId }) => accessKeyId))).toEqual(new Set(["first"]));
    expect(w.loadCount).toBe(1);
  });

  it("are looked at again when they are old, while requests go on with those at hand", async () => {
    const w = world();
    await w.credentials.current();
    w.accessKeyId = "second";
    await w.clock.advance(10_001);
    expect((await w.credentials.current()).accessKeyId).toBe("first");
    await quiet();
    expect((await w.credentials.current()).accessKeyId).toBe("second");
    expect(w.loadCount).toBe(2);
  });

  it("that say when they end are left alone until five minutes before", async () => {
    const w = world();
    w.expiration = new Date(w.clock.wallMs() + 3_600_000);
    await w.credentials.current();
    await w.clock.advance(3_200_000);
    await w.credentials.current();
    expect(w.loadCount).toBe(1);
    await w.clock.advance(150_000);
    await w.credentials.current();
    expect(w.loadCount).toBe(2);
  });

  it("outlive a source that fails", async () => {
    const w = world();
    await w.credentials.current();
    w.error = new Error("no such file");
    await w.clock.advance(20_000);
    expect((await w.credentials.current()).accessKeyId).toBe("first");
    expect(await w.credentials.renew(w.credentials.version)).toBe(false);
  });

  it("say that a refused request may go again only when there are other keys than it was signed with", async () => {
    const w = world();
    await w.credentials.current();
    const version = w.credentials.version;
    await w.clock.advance(2_000);
    expect(await w.credentials.renew(version)).toBe(false);
    w.accessKeyId = "second";
    await w.clock.advance(2_000);
    expect(await Promise.all([w.credentials.renew(version), w.credentials.renew(version)])).toEqual([true, true]);
    expect(w.loadCount).toBe(3);
    // Another request that was signed with the first ones, and is refused only now.
    expect(await w.credentials.renew(version)).toBe(true);
    expect(w.loadCount).toBe(3);
  });

  it("do not ask the source more than once a second, however many requests are refused", async () => {
    const w = world();
    await w.credentials.current();
    await w.clock.advance(2_000);
    for (let refusal = 0; refusal < 50; refusal++) await w.credentials.renew(w.credentials.version);
    expect(w.loadCount).toBe(2);
  });

  it("that cannot change are never asked for again", async () => {
    const w = world(false);
    await w.credentials.current();
    await w.clock.advance(60_000);
    await w.credentials.current();
    expect(await w.credentials.renew(w.credentials.version)).toBe(false);
    expect(w.loadCount).toBe(1);
  });

  it("fail with the reason of the source when there never were any", async () => {
    const w = world();
    w.error = new Error("no keys in /secret");
    await expect(w.credentials.current()).rejects.toThrow("no keys in /secret");
  });
});
