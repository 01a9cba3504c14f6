// Faults that are planted into what was read back, one at a time: a checker that does not tell each of them, and nothing
// else, would not have told a real one either.
import { isAcknowledged, keyOf, type RecordStream } from "./history.ts";
import { check, type FoundRecord, type Verdict } from "./history-check.ts";

/** One of them. */
export interface PlantedFault {
  readonly name: string;
  /** Whether the checker told it, and nothing beside it. */
  readonly isFound: boolean;
}

/**
 * Plants a loss, a duplicate and an exchange. Only with records of a client that stores each once: taking one of two
 * copies would be no loss. None where there are no two such records that follow each other.
 */
export function plantedFaults(
  streams: readonly RecordStream[],
  found: readonly FoundRecord[],
): readonly PlantedFault[] {
  const pair = findPair(streams, found);
  if (!pair) return [];
  const [victim, next] = pair;
  const last = found.findLastIndex(({ partition }) => partition === victim.partition);
  const copy = { ...victim, offset: (found[last]?.offset ?? 0) + 1 };
  const [index, later] = [found.indexOf(victim), found.indexOf(next)];
  const exchanged = found
    .with(index, { ...victim, key: next.key, value: next.value })
    .with(later, { ...next, key: victim.key, value: victim.value });
  const clean = countsOf(check(streams, found));
  const plants: readonly (readonly [string, readonly FoundRecord[], readonly number[]])[] = [
    ["a loss", found.toSpliced(index, 1), [1, 0, 0, 0, 1]],
    ["a duplicate", found.toSpliced(last + 1, 0, copy), [0, 1, 0, 0, 0]],
    ["an exchange", exchanged, [0, 0, 1, 2, 0]],
  ];
  return plants.map(([name, planted, expected]) => {
    const verdict = check(streams, planted);
    const isNamed = [...verdict.lost, ...verdict.duplicated, ...verdict.outOfOrder].some((line) =>
      line.includes(victim.key),
    );
    const told = countsOf(verdict);
    const isExact = told.every((count, finding) => count === (clean[finding] ?? 0) + (expected[finding] ?? 0));
    return { name, isFound: isNamed && isExact };
  });
}

function countsOf({ lost, duplicated, outOfOrder, moved, holes }: Verdict): readonly number[] {
  return [lost, duplicated, outOfOrder, moved, holes].map((list) => list.length);
}

/** Two records, one number after the other, that stand where their idempotent client was told: out of its middle. */
function findPair(
  streams: readonly RecordStream[],
  found: readonly FoundRecord[],
): readonly [FoundRecord, FoundRecord] | undefined {
  const stream = streams.find(({ isIdempotent }) => isIdempotent);
  if (!stream) return undefined;
  const placed = new Map(found.map((record) => [`${record.key}@${record.offset}`, record]));
  const acknowledged = stream.sent.filter(isAcknowledged);
  const told = new Map(
    acknowledged.map((record) => [keyOf(stream.name, record.partition, record.number), record.outcome]),
  );
  const standing = (partition: number, number: number) => {
    const key = keyOf(stream.name, partition, number);
    return placed.get(`${key}@${told.get(key)}`);
  };
  const half = Math.floor(acknowledged.length / 2);
  for (const { partition, number } of [...acknowledged.slice(half), ...acknowledged.slice(0, half)]) {
    const [victim, next] = [standing(partition, number), standing(partition, number + 1)];
    if (victim && next) return [victim, next];
  }
  return undefined;
}
