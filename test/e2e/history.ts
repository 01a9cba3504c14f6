// What producers sent and were told, record by record, and what follows from it without looking at what was stored.

/** One record of one producer, from its sending to its answer. Times are of the wall clock, in milliseconds. */
export interface SentRecord {
  readonly partition: number;
  /** 0, 1, 2, … of this producer in this partition. */
  readonly number: number;
  readonly sentMs: number;
  readonly answeredMs: number;
  /** The offset that the acknowledgement named, or the error that the client ended with. */
  readonly outcome: number | string;
}

/** A producer at work over all partitions of a topic. */
export interface RecordStream {
  /** Unique in the topic, without a slash: the beginning of each of its keys. */
  readonly name: string;
  /** Whether the client promises that a retry of it is stored once. */
  readonly isIdempotent: boolean;
  /** Records with an answer, in the order of the answers; it grows while the stream runs. */
  readonly sent: readonly SentRecord[];
  /** What the client logged at warn level and above. */
  readonly warnings: readonly string[];
  /** Stops sending, waits until nothing is on its way, and ends. */
  end(): Promise<void>;
}

/** The key of a record, which says all of it. */
export function keyOf(stream: string, partition: number, number: number): string {
  return `${stream}/${partition}/${number}`;
}

/** Its value: the key four times, so that a torn record shows. */
export function valueOf(key: string): string {
  return key.repeat(4);
}

/** Whether a record was acknowledged. */
export function isAcknowledged({ outcome }: SentRecord): boolean {
  return typeof outcome === "number";
}

/** A pause in what one partition acknowledged. */
export interface Gap {
  readonly partition: number;
  /** When it began. */
  readonly fromMs: number;
  readonly ms: number;
}

/** A stretch of time of the wall clock. */
export interface TimeSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * The longest time for which each partition acknowledged nothing to anybody within `span`, whose ends count as
 * acknowledgements; longest first.
 */
export function longestGaps(streams: readonly RecordStream[], partitionCount: number, span: TimeSpan): readonly Gap[] {
  const times: number[][] = Array.from({ length: partitionCount }, () => [span.fromMs, span.toMs]);
  for (const record of streams.flatMap(({ sent }) => sent)) {
    const { answeredMs, partition } = record;
    if (isAcknowledged(record) && answeredMs > span.fromMs && answeredMs < span.toMs)
      times[partition]?.push(answeredMs);
  }
  const gaps = times.map((list, partition) => {
    const ordered = list.toSorted((left, right) => left - right);
    let longest: Gap = { partition, fromMs: span.fromMs, ms: 0 };
    for (const [index, fromMs] of ordered.entries()) {
      const ms = (ordered[index + 1] ?? fromMs) - fromMs;
      if (ms > longest.ms) longest = { partition, fromMs, ms };
    }
    return longest;
  });
  return gaps.toSorted((left, right) => right.ms - left.ms);
}

/** Partitions that have acknowledged a record to somebody which was sent after `sinceMs`. */
export function partitionsWrittenSince(streams: readonly RecordStream[], sinceMs: number): ReadonlySet<number> {
  const written = new Set<number>();
  for (const { sent } of streams) {
    for (let index = sent.length - 1; index >= 0; index--) {
      const record = sent[index];
      // Answers come in order of time, and nothing is answered before it was sent.
      if (!record || record.answeredMs < sinceMs) break;
      if (isAcknowledged(record) && record.sentMs >= sinceMs) written.add(record.partition);
    }
  }
  return written;
}
