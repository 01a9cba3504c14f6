// What every side of the object store promises, as one suite: memory, a folder, and a real S3 server. Each test works
// below a prefix of its own, so that a store that outlives a test can be used.
import { setMaxListeners } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import { type ObjectStore, ObjectStoreError, type ObjectStoreErrorKind } from "../../src/object-store/object-store.ts";

/** A store under test. */
export interface ObjectStoreSubject {
  readonly store: ObjectStore;
  readonly close: () => Promise<void>;
}

type SetUp = () => Promise<{ store: ObjectStore; at: (key: string) => string }>;

/** What a server is excused from. */
export interface ContractOptions {
  /**
   * Whether `a` and `a/b` can be objects at the same time. S3 takes both; servers that keep objects as files do not, and
   * no two keys of this project are like that.
   */
  readonly mayKeysNest: boolean;
}

const signal = new AbortController().signal;
setMaxListeners(0, signal);
const replace = { signal, ifAbsent: false };
const create = { signal, ifAbsent: true };
let prefixCount = 0;

/** Declares the suite for one side. */
export function describeObjectStore(
  name: string,
  open: () => Promise<ObjectStoreSubject>,
  options: ContractOptions = { mayKeysNest: true },
): void {
  const set = async () => {
    const subject = await open();
    onTestFinished(() => subject.close());
    const prefix = `contract/${process.pid}-${prefixCount++}/`;
    return { store: subject.store, at: (key: string) => prefix + key };
  };
  describe(`${name} as an object store`, () => {
    describePutAndGet(set);
    describeKeys(set, options);
    describeIfAbsent(set);
    describeList(set, options);
    describeDelete(set);
    describeRefusals(set);
  });
}

function describePutAndGet(set: SetUp): void {
  it("gives back the parts of a put as one object", async () => {
    const { store, at } = await set();
    await store.put(at("a"), [bytes("one "), new Uint8Array(), bytes("two")], replace);
    expect(text(await store.get(at("a"), { signal }))).toBe("one two");
    expect(await store.head(at("a"), { signal })).toEqual({ bytes: 7 });
  });

  it("keeps an empty object and one of 5 MiB", async () => {
    const { store, at } = await set();
    const big = Uint8Array.from({ length: 5 * 1024 * 1024 }, (_, index) => (index * 31) >>> 3);
    await store.put(at("empty"), [], replace);
    await store.put(at("big"), [big.subarray(0, 100), big.subarray(100)], replace);
    expect((await store.get(at("empty"), { signal })).byteLength).toBe(0);
    expect(Buffer.compare(await store.get(at("big"), { signal }), big)).toBe(0);
  });

  it("replaces an object whole", async () => {
    const { store, at } = await set();
    await store.put(at("a"), [bytes("a long first value")], replace);
    await store.put(at("a"), [bytes("second")], replace);
    expect(text(await store.get(at("a"), { signal }))).toBe("second");
  });

  it("reads a range, what is left of one that ends past the object, and nothing past its end", async () => {
    const { store, at } = await set();
    await store.put(at("a"), [bytes("0123456789")], replace);
    const read = async (start: number, length: number) =>
      text(await store.get(at("a"), { signal, range: { start, length } }));
    expect(await read(0, 10)).toBe("0123456789");
    expect(await read(3, 4)).toBe("3456");
    expect(await read(8, 100)).toBe("89");
    await expectKind(read(10, 1), "not-found");
    await expectKind(read(11, 1), "not-found");
  });

  it("says not-found for an object that is not there", async () => {
    const { store, at } = await set();
    await expectKind(store.get(at("none"), { signal }), "not-found");
    await expectKind(store.get(at("none"), { signal, range: { start: 0, length: 1 } }), "not-found");
    await expectKind(store.head(at("none"), { signal }), "not-found");
  });

  it("keeps bytes of its own: neither what was put nor what was read changes them later", async () => {
    const { store, at } = await set();
    const value = bytes("abc");
    await store.put(at("a"), [value], replace);
    value.fill(0);
    (await store.get(at("a"), { signal })).fill(1);
    expect(text(await store.get(at("a"), { signal }))).toBe("abc");
  });

  it("gives what was put as final bytes like any other object, whole and in ranges across its parts", async () => {
    const { store, at } = await set();
    const parts = [bytes("abc"), bytes(""), bytes("defg"), bytes("hi").subarray(1)];
    await store.put(at("a"), parts, { ...create, areFinal: true });
    const whole = "abcdefgi";
    expect(text(await store.get(at("a"), { signal }))).toBe(whole);
    expect(await store.head(at("a"), { signal })).toEqual({ bytes: whole.length });
    for (let start = 0; start < whole.length; start++) {
      for (let length = 1; length <= whole.length; length++) {
        const read = await store.get(at("a"), { signal, range: { start, length } });
        expect(text(read)).toBe(whole.slice(start, start + length));
        // What was read belongs to the reader, whatever the store keeps.
        read.fill(0);
      }
    }
    expect(text(await store.get(at("a"), { signal }))).toBe(whole);
  });

  it("keeps concurrent puts of different keys and one whole value of concurrent puts of the same", async () => {
    const { store, at } = await set();
    const values = Array.from({ length: 16 }, (_, index) => `${index}`.repeat(1000));
    await Promise.all([
      ...values.map((value, index) => store.put(at(`n/${index}/x`), [bytes(value)], create)),
      ...values.map((value) => store.put(at("same"), [bytes(value)], replace)),
    ]);
    for (const [index, value] of values.entries()) {
      expect(text(await store.get(at(`n/${index}/x`), { signal }))).toBe(value);
    }
    expect(values).toContain(text(await store.get(at("same"), { signal })));
  });
}

function describeKeys(set: SetUp, { mayKeysNest }: ContractOptions): void {
  it(
    mayKeysNest ? "holds a key that is the beginning of another one, and similar ones" : "holds similar keys",
    async () => {
      const { store, at } = await set();
      const similar = ["a", "A", "a.b", "a-b", "a~b", "a_b", "B/b", "b/b", "b.b/b"];
      const keys = mayKeysNest ? [...similar, "a/b", "a/b/c", "A/b"] : similar;
      for (const key of keys) await store.put(at(key), [bytes(key)], create);
      for (const key of keys) expect(text(await store.get(at(key), { signal }))).toBe(key);
      const { objects } = await store.list(at(""), { signal, limit: 1000 });
      expect(objects.map((object) => object.key)).toEqual(keys.map(at).sort());
    },
  );
}

function describeIfAbsent(set: SetUp): void {
  it("creates an object that is absent and leaves one that is there alone", async () => {
    const { store, at } = await set();
    await store.put(at("a"), [bytes("first")], create);
    await expectKind(store.put(at("a"), [bytes("second")], create), "already-exists");
    expect(text(await store.get(at("a"), { signal }))).toBe("first");
  });

  it("lets exactly one of many concurrent creations win, and keeps its bytes", async () => {
    const { store, at } = await set();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => store.put(at("a"), [bytes(`value ${index}`)], create)),
    );
    const winners = outcomes.flatMap((outcome, index) => (outcome.status === "fulfilled" ? [index] : []));
    expect(winners).toHaveLength(1);
    expect(text(await store.get(at("a"), { signal }))).toBe(`value ${winners[0]}`);
  });

  it("creates again what was deleted", async () => {
    const { store, at } = await set();
    await store.put(at("a"), [bytes("first")], create);
    await store.delete([at("a")], { signal });
    await store.put(at("a"), [bytes("second")], create);
    expect(text(await store.get(at("a"), { signal }))).toBe("second");
  });
}

function describeList(set: SetUp, { mayKeysNest }: ContractOptions): void {
  it("lists what begins with a prefix, ascending, with sizes, whether or not the prefix ends at a slash", async () => {
    const { store, at } = await set();
    const nested = mayKeysNest ? ["b"] : [];
    for (const key of ["b/2", "b/10", "b-", "b.c/x", "c", "a/1", "ba/1", ...nested]) {
      await store.put(at(key), [bytes(key)], create);
    }
    const list = async (prefix: string) => (await store.list(at(prefix), { signal, limit: 1000 })).objects;
    expect(await list("b/")).toEqual([
      { key: at("b/10"), bytes: 4 },
      { key: at("b/2"), bytes: 3 },
    ]);
    expect((await list("b")).map(({ key }) => key)).toEqual([...nested, "b-", "b.c/x", "b/10", "b/2", "ba/1"].map(at));
    expect((await list("b/1")).map(({ key }) => key)).toEqual([at("b/10")]);
    expect(await list("none/")).toEqual([]);
  });

  it("lists in pages that together are everything, each once", async () => {
    const { store, at } = await set();
    const keys = Array.from({ length: 25 }, (_, index) => at(`${index % 3}/${index % 5}/${index}`)).sort();
    for (const key of keys) await store.put(key, [], create);
    for (const limit of [1, 7, 24, 25]) {
      const seen: string[] = [];
      for (let startAfter: string | undefined; ; startAfter = seen.at(-1)) {
        const page = await store.list(at(""), { signal, limit, ...(startAfter === undefined ? {} : { startAfter }) });
        expect(page.objects.length).toBeLessThanOrEqual(limit);
        seen.push(...page.objects.map(({ key }) => key));
        if (!page.isTruncated) break;
      }
      expect(seen).toEqual(keys);
    }
  });

  it("says that a listing is cut only when more follows", async () => {
    const { store, at } = await set();
    for (const key of ["a", "b"]) await store.put(at(key), [], create);
    expect((await store.list(at(""), { signal, limit: 1 })).isTruncated).toBe(true);
    expect((await store.list(at(""), { signal, limit: 2 })).isTruncated).toBe(false);
    expect(await store.list(at(""), { signal, limit: 2, startAfter: at("b") })).toEqual({
      objects: [],
      isTruncated: false,
    });
  });

  it("begins after a key that is no object", async () => {
    const { store, at } = await set();
    for (const key of ["a/1", "a/3", "b/1"]) await store.put(at(key), [], create);
    const { objects } = await store.list(at(""), { signal, limit: 10, startAfter: at("a/2") });
    expect(objects.map(({ key }) => key)).toEqual([at("a/3"), at("b/1")]);
  });
}

function describeDelete(set: SetUp): void {
  it("deletes what it is told, and takes what is absent as deleted", async () => {
    const { store, at } = await set();
    for (const key of ["a", "b/b", "c"]) await store.put(at(key), [], create);
    await store.delete([at("a"), at("none"), at("none/x"), at("c")], { signal });
    await store.delete([], { signal });
    const { objects } = await store.list(at(""), { signal, limit: 10 });
    expect(objects.map(({ key }) => key)).toEqual([at("b/b")]);
  });
}

function describeRefusals(set: SetUp): void {
  it("does nothing for a caller who gave up", async () => {
    const { store, at } = await set();
    const gone = AbortSignal.abort(new Error("stopped"));
    await expectKind(store.put(at("a"), [bytes("x")], { signal: gone, ifAbsent: false }), "unavailable");
    await expectKind(store.get(at("a"), { signal: gone }), "unavailable");
    await expectKind(store.get(at("a"), { signal }), "not-found");
  });

  it("refuses what is no key before anything is done", async () => {
    const { store } = await set();
    for (const key of ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a b", "a\0b", "ä", "x".repeat(1025)]) {
      await expect(store.put(key, [], create)).rejects.toThrow("not an object key");
      await expect(store.get(key, { signal })).rejects.toThrow("not an object key");
    }
  });

  it("takes the longest key", async () => {
    const { store, at } = await set();
    const rest = 1024 - at("").length;
    const parts = Array.from({ length: Math.ceil(rest / 200) }, () => "k".repeat(199)).join("/");
    const key = at(parts.padEnd(rest, "k").slice(0, rest));
    await store.put(key, [bytes("x")], create);
    expect((await store.list(key, { signal, limit: 2 })).objects).toEqual([{ key, bytes: 1 }]);
  });
}

async function expectKind(promise: Promise<unknown>, kind: ObjectStoreErrorKind): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ObjectStoreError);
  expect((error as ObjectStoreError).kind).toBe(kind);
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}
