// What a checker finds in a topic after the writers have ended, held against what they were told.
import { expect } from "vitest";
import type { ValueStream } from "./clients/value-stream.ts";
import { runProgram } from "./program.ts";
import { toolCommand } from "./tools.ts";

/** What `kcat -J` prints of a message. */
interface StoredRecord {
  readonly partition: number;
  readonly offset: number;
  readonly payload: string;
}

/** Every record of a topic, by an independent reader that checks the batches' checksums. */
export async function readAll(bootstrap: string, topic: string): Promise<readonly StoredRecord[]> {
  const args = ["-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-J", "-X", "check.crcs=true"];
  const { stdout } = await runProgram(toolCommand("kcat"), args, { timeoutMs: 120_000 });
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as StoredRecord);
}

/** Checks the stored records of one producer against what it was told. */
export function judge(stream: ValueStream, stored: readonly StoredRecord[]): void {
  const own = stored.filter(({ payload }) => payload.startsWith(stream.prefix));
  const times = new Map<string, number>();
  for (const { payload } of own) times.set(payload, (times.get(payload) ?? 0) + 1);
  const lost = stream.acknowledged.filter((value) => !times.has(value));
  expect(lost, `acknowledged to ${stream.name} and lost`).toEqual([]);
  if (!stream.isIdempotent) return;
  const repeated = [...times].filter(([, count]) => count > 1).map(([value]) => value);
  expect(repeated, `stored more than once for ${stream.name}`).toEqual([]);
  const lastOf = new Map<number, number>();
  for (const { partition, offset, payload } of own) {
    const number = Number(payload.slice(stream.prefix.length));
    const order = `${stream.name}: partition ${partition} offset ${offset} has ${number}`;
    expect(number, order).toBeGreaterThan(lastOf.get(partition) ?? -1);
    lastOf.set(partition, number);
  }
}

/** Offsets of each partition have to be 0, 1, 2, …: a commit leaves no hole behind, and no number is given twice. */
export function expectDense(stored: readonly StoredRecord[]): void {
  const nextOffset = new Map<number, number>();
  for (const { partition, offset } of stored) {
    expect(offset, `partition ${partition}`).toBe(nextOffset.get(partition) ?? 0);
    nextOffset.set(partition, offset + 1);
  }
}
