// The independent checker: holds what another program read back against the histories of the producers.
import { isAcknowledged, keyOf, type RecordStream, valueOf } from "./history.ts";
import { runProgram } from "./program.ts";
import { toolCommand } from "./tools.ts";

/** A record as the checker read it. */
export interface FoundRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
}

/** What is wrong, as one line for each finding. Empty lists: nothing. */
export interface Verdict {
  /** Acknowledged, and not there. */
  readonly lost: readonly string[];
  /** There more than once, from a client that promises once. */
  readonly duplicated: readonly string[];
  /** After a record of the same producer that was sent later. */
  readonly outOfOrder: readonly string[];
  /** Acknowledged at another offset, in a partition it was not sent to, with another value, or sent by nobody. */
  readonly moved: readonly string[];
  /** Offsets that are missing or there twice. */
  readonly holes: readonly string[];
  /** There more than once from a client that does not promise once: no fault. */
  readonly repeatCount: number;
}

/** Every record of a topic, by kcat, which checks the batches' checksums. */
export async function readBack(bootstrap: string, topic: string): Promise<readonly FoundRecord[]> {
  const args = ["-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %o %k %s\n"];
  args.push("-X", "check.crcs=true", "-X", "topic.auto.offset.reset=error");
  const { stdout } = await runProgram(toolCommand("kcat"), args, { timeoutMs: 60_000 });
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [partition, offset, key = "", value = ""] = line.split(" ");
      return { partition: Number(partition), offset: Number(offset), key, value };
    });
}

/** Holds found records against histories. Only records whose producer is among `streams` may be there. */
export function check(streams: readonly RecordStream[], found: readonly FoundRecord[]): Verdict {
  const byName = new Map(streams.map((stream) => [stream.name, stream]));
  const placesOf = new Map<string, FoundRecord[]>();
  const lastNumber = new Map<string, number>();
  const outOfOrder: string[] = [];
  const moved: string[] = [];
  for (const record of found) {
    const [name = "", partition = "", number = ""] = record.key.split("/");
    const places = placesOf.get(record.key);
    if (places) places.push(record);
    else placesOf.set(record.key, [record]);
    const isForeign = !byName.has(name) || Number(partition) !== record.partition;
    if (isForeign || record.value !== valueOf(record.key)) moved.push(`${at(record)}: ${record.key} ${record.value}`);
    // A repeated record counts where it is first.
    if (places) continue;
    const lane = `${name}/${partition}`;
    if (Number(number) < (lastNumber.get(lane) ?? -1)) outOfOrder.push(`${at(record)}: ${record.key}`);
    lastNumber.set(lane, Math.max(Number(number), lastNumber.get(lane) ?? -1));
  }
  const { lost, misplaced } = checkAcknowledged(streams, placesOf);
  const repeated = [...placesOf].filter(([, places]) => places.length > 1);
  const isOfIdempotent = ([key]: readonly [string, unknown]) =>
    byName.get(key.split("/")[0] ?? "")?.isIdempotent === true;
  const duplicated = repeated.filter(isOfIdempotent).map(([key, places]) => `${key}: ${places.map(at).join(" ")}`);
  const repeatCount = repeated.length - duplicated.length;
  return { lost, duplicated, outOfOrder, moved: [...moved, ...misplaced], holes: holesOf(found), repeatCount };
}

function checkAcknowledged(streams: readonly RecordStream[], placesOf: ReadonlyMap<string, readonly FoundRecord[]>) {
  const lost: string[] = [];
  const misplaced: string[] = [];
  for (const { name, sent } of streams) {
    for (const record of sent.filter(isAcknowledged)) {
      const key = keyOf(name, record.partition, record.number);
      const places = placesOf.get(key);
      if (!places) lost.push(`${key} at offset ${record.outcome}`);
      // A client that was answered "already there" may not be told where.
      else if (Number(record.outcome) >= 0 && !places.some(({ offset }) => offset === record.outcome)) {
        misplaced.push(`${key}: acknowledged at ${record.outcome}, is at ${places.map(at).join(" ")}`);
      }
    }
  }
  return { lost, misplaced };
}

function holesOf(found: readonly FoundRecord[]): readonly string[] {
  const nextOffset = new Map<number, number>();
  const holes: string[] = [];
  for (const record of found) {
    const expected = nextOffset.get(record.partition) ?? 0;
    if (record.offset !== expected) holes.push(`${at(record)} where ${expected} was expected`);
    nextOffset.set(record.partition, record.offset + 1);
  }
  return holes;
}

function at({ partition, offset }: FoundRecord): string {
  return `${partition}@${offset}`;
}
