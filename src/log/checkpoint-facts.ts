// What a claim has to know of the last checkpoint of a dead session: its head, and where each shard's section lies.
import type { CheckpointFacts } from "../cluster/shard-claim.ts";
import { decodeCheckpointIndex, decodeCheckpointTrailer } from "../objects/checkpoint.ts";
import { decodeObject } from "../objects/format-error.ts";
import type { ObjectKeys } from "../objects/object-keys.ts";
import type { WalReader } from "./wal-reader.ts";

/** Which checkpoint of which session. */
export interface CheckpointAddress {
  readonly sessionId: string;
  readonly objectKey: string;
  readonly signal: AbortSignal;
}

/**
 * Reads the index of a checkpoint.
 * @throws FormatError when it is damaged, ObjectStoreError `not-found` when it is gone
 */
export async function loadCheckpoint(
  wal: WalReader,
  objectKeys: ObjectKeys,
  { sessionId, objectKey, signal }: CheckpointAddress,
): Promise<CheckpointFacts> {
  const end = await wal.readEnd(objectKey, signal);
  const range = decodeObject(objectKey, () => decodeCheckpointTrailer(end.bytes, end.objectBytes));
  const bytes = await wal.within(objectKey, end, range, signal);
  const index = decodeObject(objectKey, () => decodeCheckpointIndex(bytes, end.objectBytes));
  const rows = new Map(index.sections.map((row) => [row.shard, row]));
  return {
    n: index.n,
    sectionOf(shard, epoch) {
      const row = rows.get(shard);
      if (row?.epoch !== epoch) return undefined;
      const { k, position, length } = row.ref;
      return { objectKey: objectKeys.checkpoint(sessionId, k), position, length, lowestPendingN: row.lowestPendingN };
    },
  };
}
