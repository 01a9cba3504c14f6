// One partition of `__consumer_offsets` that this broker leads: its groups, read from the fold of the log and written
// back as batches of Kafka's records. Dropped as a whole when the leadership ends.
import { ErrorCode } from "../../generated/kafka/error-codes.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { KafkaError } from "../kafka-error.ts";
import { encodeBatch } from "../records/encode-batch.ts";
import { RecordBatchView } from "../records/record-batch.ts";
import type { TopicId } from "../topic-partition.ts";
import type { CommittedOffset, GroupRecord, GroupRequest } from "./group.ts";
import type { GroupPartitionLog } from "./group-log.ts";
import { GroupMailbox, type ReplyTo } from "./group-mailbox.ts";
import { type AddressedRecord, decodeGroupRecord, encodeGroupRecord } from "./group-records.ts";
import { recoverGroups } from "./group-recovery.ts";
import type { GroupSettings } from "./group-settings.ts";

/** What a partition of groups works with. */
export interface GroupPartitionParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: GroupSettings;
  /** False when `committed` is known to be of a topic that is gone. */
  isTopicAlive(topic: string, committed: CommittedOffset): boolean;
  /** Takes the place of one more group on this broker; false when there is none. */
  takePlace(): boolean;
  /** Gives a place back. */
  givePlaceBack(): void;
  /** Hears of a write that failed by a bug. */
  onBug(error: unknown): void;
}

/** The groups of one partition during one leadership. */
export class GroupPartition {
  readonly log: GroupPartitionLog;
  readonly #parts: GroupPartitionParts;
  readonly #mailboxes = new Map<string, GroupMailbox>();
  /** Groups whose state here was given up after a failed write: their records are read again when they are asked for. */
  readonly #unread = new Set<string>();
  #isClosed = false;

  /**
   * Loads every group of the partition.
   * @throws DecodeError when a record is damaged
   */
  constructor(log: GroupPartitionLog, parts: GroupPartitionParts) {
    this.log = log;
    this.#parts = parts;
    this.#load(recordsOf(log));
  }

  /** Runs a request in this very call. */
  ask<R extends GroupRequest>(groupId: string, request: R): Promise<ReplyTo<R>> {
    if (this.#unread.delete(groupId)) this.#load(recordsOf(this.log, groupId));
    const mailbox = this.#mailboxes.get(groupId) ?? this.#open(groupId, canCreate(request));
    return mailbox.ask(request);
  }

  /** Asks every group. */
  askAll<R extends GroupRequest>(request: R): Promise<ReplyTo<R>>[] {
    for (const groupId of [...this.#unread]) {
      this.#unread.delete(groupId);
      this.#load(recordsOf(this.log, groupId));
    }
    return [...this.#mailboxes.values()].map((mailbox) => mailbox.ask(request));
  }

  /** Topics are gone for certain: so are their offsets, in every group. */
  dropTopics(topicIds: ReadonlySet<TopicId>): void {
    for (const mailbox of [...this.#mailboxes.values()]) mailbox.tell({ type: "topics-deleted", topicIds });
  }

  /** The leadership ended: whoever waits hears `error`, every timer stops. */
  close(error: KafkaError): void {
    this.#isClosed = true;
    for (const mailbox of [...this.#mailboxes.values()]) mailbox.close(error);
    // What is left waits for writes to settle, with nobody to tell.
    for (let left = this.#mailboxes.size; left > 0; left--) this.#parts.givePlaceBack();
    this.#mailboxes.clear();
  }

  #load(records: Iterable<AddressedRecord>): void {
    const { settings } = this.#parts;
    const groups = recoverGroups(records, {
      settings,
      isTopicAlive: (topic, committed) => this.#parts.isTopicAlive(topic, committed),
    });
    for (const [groupId, group] of groups) this.#open(groupId, false).load(group);
  }

  #open(groupId: string, isCounted: boolean): GroupMailbox {
    const hasPlace = this.#parts.takePlace();
    if (!hasPlace && isCounted) {
      this.#parts.givePlaceBack();
      const text = `this broker holds ${this.#parts.settings.groupsMax} groups already`;
      throw new KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE, text);
    }
    const mailbox = new GroupMailbox(groupId, {
      clock: this.#parts.clock,
      settings: this.#parts.settings,
      append: (records) => this.#append(groupId, records),
      requireProven: () => this.log.requireReadable(),
      onBug: (error) => {
        this.#parts.log.error("a write of a group met a bug", { group: groupId, error });
        this.#parts.onBug(error);
      },
      onVacant: (hasFailed) => this.#remove(groupId, mailbox, hasFailed),
    });
    this.#mailboxes.set(groupId, mailbox);
    return mailbox;
  }

  #remove(groupId: string, mailbox: GroupMailbox, hasFailed: boolean): void {
    if (this.#mailboxes.get(groupId) !== mailbox) return;
    this.#mailboxes.delete(groupId);
    this.#parts.givePlaceBack();
    if (hasFailed && !this.#isClosed) {
      this.#unread.add(groupId);
      this.#parts.log.warn("group is read again after a failed write", { group: groupId });
    }
  }

  async #append(groupId: string, records: readonly GroupRecord[]): Promise<void> {
    const timestampMs = this.#parts.clock.wallMs();
    const encoded = records.map((record) => ({ timestampMs, headers: [], ...encodeGroupRecord(groupId, record) }));
    await this.log.append(new RecordBatchView(encodeBatch(encoded)));
  }
}

/** Only these make a group that was not there before. */
function canCreate(request: GroupRequest): boolean {
  return request.type === "join" || request.type === "commit";
}

/** The records of a partition that are about groups; those of one group if it is named. */
function* recordsOf(log: GroupPartitionLog, groupId?: string): Generator<AddressedRecord> {
  for (const entry of log.fold()) {
    const addressed = decodeGroupRecord(entry);
    if (addressed && (groupId === undefined || addressed.groupId === groupId)) yield addressed;
  }
}
