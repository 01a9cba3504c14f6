// The line of events of one schedule, as a hash: the same seed gives the same hash, or something escaped the seams. With
// a listener each line can be read, which is how a seed is replayed.

/** Where the parts of a simulated world tell what they do. */
export class Trace {
  #hash = 0x811c_9dc5;
  #other = 0x9747_b28c;
  #decisions = 0x811c_9dc5;
  #lineCount = 0;
  readonly #nowMs: () => number;
  readonly #listener: ((line: string) => void) | undefined;

  constructor(nowMs: () => number, listener?: (line: string) => void) {
    this.#nowMs = nowMs;
    this.#listener = listener;
  }

  /** Lines so far. */
  get lineCount(): number {
    return this.#lineCount;
  }

  /** 16 hex digits over all lines. */
  get hash(): string {
    return hex(this.#hash) + hex(this.#other);
  }

  /** The same over what the stores were told alone. */
  get decisionHash(): string {
    return hex(this.#decisions);
  }

  /** Adds a line about a change of a store. */
  readonly decide = (line: string): void => {
    this.note(line);
    for (let index = 0; index < line.length; index++) {
      this.#decisions = Math.imul(this.#decisions ^ line.charCodeAt(index), 0x0100_0193);
    }
  };

  /** Adds a line; its time is put in front. */
  readonly note = (line: string): void => {
    this.#lineCount++;
    const nowMs = this.#nowMs();
    this.#mix((nowMs * 1000) | 0);
    for (let index = 0; index < line.length; index++) this.#mix(line.charCodeAt(index));
    this.#listener?.(`${(nowMs / 1000).toFixed(6).padStart(11)} ${line}`);
  };

  #mix(word: number): void {
    this.#hash = Math.imul(this.#hash ^ word, 0x0100_0193);
    this.#other = Math.imul(((this.#other << 5) | (this.#other >>> 27)) ^ word, 0x5bd1_e995);
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
