import { randomBytes } from "node:crypto";
import { createConnection } from "node:net";
import { describe, expect, it } from "vitest";
import { EscapeError, inSealedWorld } from "./sealed-world.ts";

describe("a sealed world", () => {
  it("throws where real time, chance or I/O is asked for", async () => {
    const escapes: (() => unknown)[] = [
      () => Date.now(),
      () => new Date(),
      () => Math.random(),
      () => performance.now(),
      () => setTimeout(() => {}, 0),
      () => setImmediate(() => {}),
      () => AbortSignal.timeout(1),
      () => randomBytes(4),
      () => createConnection(1),
    ];
    await inSealedWorld(async () => {
      for (const escape of escapes) expect(escape).toThrow(EscapeError);
    });
    expect(Math.random()).toBeLessThan(1);
  });

  it("combines abort signals as Node does: the first to abort decides, with its reason", async () => {
    await inSealedWorld(async () => {
      const [early, late] = [new AbortController(), new AbortController()];
      const combined = AbortSignal.any([early.signal, late.signal]);
      const reasons: unknown[] = [];
      combined.addEventListener("abort", () => reasons.push(combined.reason));
      late.abort("late");
      early.abort("early");
      expect(reasons).toEqual(["late"]);
      expect(AbortSignal.any([early.signal, late.signal]).reason).toBe("early");
    });
  });

  it("lets a date be made of a number, and is open again afterwards", async () => {
    const year = await inSealedWorld(async () => new Date(0).getUTCFullYear());
    expect(year).toBe(1970);
    expect(Date.now()).toBeGreaterThan(0);
    expect(randomBytes(4)).toHaveLength(4);
  });
});
