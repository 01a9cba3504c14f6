// What every real client program is asked to do, and the records it is asked to carry.

/** A record as every client can show it: text, or null where Kafka has null. */
export interface PlainRecord {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [string, string])[];
}

/** Kafka's compression codecs by the names that clients use. */
export const compressions = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
/** One of {@link compressions}. */
export type Compression = (typeof compressions)[number];

/** One call of a client's producer; it resolves when the broker acknowledged every record. */
export interface ProduceCall {
  readonly bootstrap: string;
  readonly topic: string;
  readonly records: readonly PlainRecord[];
  readonly compression: Compression;
  readonly isIdempotent: boolean;
}

/** One call of a client's consumer: a new group reads from the start until it has `count` records. */
export interface ConsumeCall {
  readonly bootstrap: string;
  readonly topic: string;
  readonly group: string;
  readonly count: number;
}

/** A real client as it is installed here. */
export interface Client {
  readonly name: string;
  /** The codecs that it writes, and reads when it wrote them itself. */
  readonly codecs: readonly Compression[];
  /** Those of `codecs` of which it cannot read what other clients write, by no fault of a broker. */
  readonly codecsOnlyOfItsOwn?: readonly Compression[];
  produce(call: ProduceCall): Promise<void>;
  consume(call: ConsumeCall): Promise<readonly PlainRecord[]>;
}

/** A value of 1 MB that compresses a little: below the 1,048,588 bytes that a batch may have. */
function largeValue(): string {
  const words = Array.from({ length: 100_000 }, (_, index) => String((index * 7919) % 1_000_003).padStart(9, "x"));
  return words.join("-").slice(0, 1_000_000);
}

/** Small records, keys and values that are null, headers, one value of 1 MB. No text has a tab or a line break. */
export function sampleRecords(writer: string): readonly PlainRecord[] {
  const small = Array.from({ length: 50 }, (_, index) => ({
    key: `${writer}-key-${index % 7}`,
    value: `${writer}-value-${index}`,
    headers: [],
  }));
  return [
    ...small,
    { key: null, value: `${writer}-without-key`, headers: [] },
    { key: `${writer}-tombstone`, value: null, headers: [] },
    {
      key: `${writer}-headers`,
      value: `${writer}-with-headers`,
      headers: [
        ["trace", "abc"],
        ["tenant", "blue"],
      ],
    },
    {
      key: null,
      value: `${writer}-only-headers`,
      headers: [
        ["trace", "abc"],
        ["tenant", "blue"],
      ],
    },
    { key: `${writer}-large`, value: largeValue(), headers: [] },
  ];
}

/** One line per record in an order that does not depend on who wrote first: what two sets of records are compared by. */
export function comparable(records: readonly PlainRecord[]): readonly string[] {
  const lines = records.map(({ key, value, headers }) => {
    const shown =
      value !== null && value.length > 200 ? `${value.length} characters ending in ${value.slice(-40)}` : value;
    return JSON.stringify([key, shown, headers]);
  });
  return lines.toSorted();
}
