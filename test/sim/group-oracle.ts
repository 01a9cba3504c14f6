// What coordinators have committed: the records of `__consumer_offsets`, read from the store in the order of their
// commits. An answer of a coordinator must contain nothing newer, and nothing older than what was committed when it was
// asked.
import { decodeGroupMetadataValue } from "../../generated/kafka/group-metadata-value.ts";
import { decodeOffsetCommitValue } from "../../generated/kafka/offset-commit-value.ts";
import type { RecordBatchView } from "../../src/records/record-batch.ts";
import { iterateRecords } from "../../src/records/record-iterator.ts";
import { Reader } from "../../src/wire/reader.ts";
import type { Ledger } from "./ledger.ts";

const OFFSET_KEY_VERSION_MAX = 1;
const GROUP_KEY_VERSION = 2;

interface CommittedGroup {
  readonly generation: number;
  readonly assignments: ReadonlyMap<string, string>;
}

/** The state of all groups as committed. */
export class GroupOracle {
  readonly #ledger: Ledger;
  /** Every committed offset of a group's partition, in order. */
  readonly #offsets = new Map<string, number[]>();
  /** Offsets whose commits nobody answered, by group's partition. */
  readonly #unanswered = new Map<string, Set<number>>();
  readonly #groups = new Map<string, CommittedGroup[]>();
  /** Which member a partition was given to, by group, generation and partition. */
  readonly #given = new Map<string, string>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Takes a committed batch of `__consumer_offsets` in. */
  commit(batch: RecordBatchView): void {
    for (const { key, value } of iterateRecords(batch)) {
      if (!key) continue;
      const reader = new Reader(key);
      const version = reader.int16();
      if (version <= OFFSET_KEY_VERSION_MAX) this.#commitOffset(reader, value);
      else if (version === GROUP_KEY_VERSION) this.#commitGroup(reader.string(), value);
    }
  }

  #commitOffset(key: Reader, value: Uint8Array | null): void {
    const name = offsetName(key.string(), key.string(), key.int32());
    if (!value) {
      this.#ledger.count("group offsets removed");
      this.#offsets.delete(name);
      return;
    }
    const reader = new Reader(value);
    const { offset } = decodeOffsetCommitValue(reader, reader.int16());
    const history = this.#offsets.get(name) ?? [];
    const isForward = offset >= (history.at(-1) ?? 0) || this.#unanswered.get(name)?.has(offset) === true;
    this.#ledger.check("I19 a committed group offset never goes back", isForward, () => {
      return `${name} went from ${history.at(-1)} to ${offset}`;
    });
    history.push(offset);
    this.#offsets.set(name, history);
  }

  #commitGroup(groupId: string, value: Uint8Array | null): void {
    if (!value) {
      this.#groups.delete(groupId);
      return;
    }
    const reader = new Reader(value);
    const { generation, members } = decodeGroupMetadataValue(reader, reader.int16());
    const assignments = new Map(members.map(({ memberId, assignment }) => [memberId, hex(assignment)]));
    const history = this.#groups.get(groupId) ?? [];
    this.#ledger.check(
      "I19 a group's generation never goes back",
      generation >= (history.at(-1)?.generation ?? 0),
      () => {
        return `${groupId} went from generation ${history.at(-1)?.generation} to ${generation}`;
      },
    );
    history.push({ generation, assignments });
    this.#groups.set(groupId, history);
  }

  /** A point in the history of an offset, to be taken before a request is sent. */
  markOf(groupId: string, topic: string, partition: number): number {
    return this.#offsets.get(offsetName(groupId, topic, partition))?.length ?? 0;
  }

  /** An OffsetFetch that was asked at `mark` brought `offset`, -1 for none. */
  checkFetched(at: { groupId: string; topic: string; partition: number; mark: number }, offset: number): void {
    const name = offsetName(at.groupId, at.topic, at.partition);
    const history = this.#offsets.get(name) ?? [];
    const possible: readonly number[] = at.mark === 0 ? [-1, ...history] : history.slice(at.mark - 1);
    this.#ledger.check("I19 a coordinator answers what is committed", possible.includes(offset), () => {
      return `${name}: ${offset} was answered, committed were ${possible.join(", ") || "none"}`;
    });
  }

  /**
   * An OffsetCommit was given up. A coordinator that was frozen may find it behind the one that its member sent after it
   * by another connection, as Kafka's may.
   */
  noteUnanswered(at: { groupId: string; topic: string; partition: number }, offset: number): void {
    const name = offsetName(at.groupId, at.topic, at.partition);
    this.#unanswered.set(name, (this.#unanswered.get(name) ?? new Set()).add(offset));
  }

  /** An OffsetCommit that was sent at `mark` was acknowledged. */
  checkAcknowledged(at: { groupId: string; topic: string; partition: number; mark: number }, offset: number): void {
    const name = offsetName(at.groupId, at.topic, at.partition);
    const possible = (this.#offsets.get(name) ?? []).slice(Math.max(0, at.mark - 1));
    this.#ledger.check("I19 an acknowledged group offset is committed", possible.includes(offset), () => {
      return `${name}: ${offset} was acknowledged, committed are ${possible.join(", ") || "none"}`;
    });
  }

  /** A SyncGroup gave a member its assignment. */
  checkAssigned(at: { groupId: string; generation: number; memberId: string }, assignment: Uint8Array): void {
    const { groupId, generation, memberId } = at;
    const known = this.#groups.get(groupId)?.filter((group) => group.generation === generation) ?? [];
    const isCommitted = known.some(({ assignments }) => assignments.get(memberId) === hex(assignment));
    this.#ledger.check("I19 an assignment is committed before it is given", isCommitted, () => {
      return `${groupId} generation ${generation}: ${memberId} got [${assignment.join()}], which is not committed`;
    });
    for (const partition of assignment) {
      const key = `${groupId}/${generation}/${partition}`;
      const owner = this.#given.get(key) ?? memberId;
      this.#given.set(key, owner);
      this.#ledger.check("no partition is given twice in a generation", owner === memberId, () => {
        return `partition ${partition} of ${groupId} generation ${generation} went to ${owner} and ${memberId}`;
      });
    }
  }

  /** The newest committed offset, 0 for none. */
  newest(groupId: string, topic: string, partition: number): number {
    return this.#offsets.get(offsetName(groupId, topic, partition))?.at(-1) ?? 0;
  }
}

function offsetName(groupId: string, topic: string, partition: number): string {
  return `${groupId}/${topic}/${partition}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
