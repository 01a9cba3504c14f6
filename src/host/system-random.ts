// Real chance: bytes from the operating system, numbers from the engine.
import { randomBytes } from "node:crypto";
import type { Random } from "./random.ts";

/** Chance of this machine. Only `bytes` is fit for secrets. */
export class SystemRandom implements Random {
  bytes(count: number): Uint8Array {
    return new Uint8Array(randomBytes(count));
  }

  uniform(): number {
    return Math.random();
  }
}
