// What a broker answers to the calls of other brokers, whatever carries them: who it is, how far its image has
// come, and whether it reaches the object store.
// Refuses questions that are meant for another process: an address may have a new owner.
import type { ImageCollection } from "../cluster/image.ts";
import type { ImageFeed } from "../cluster/image-feed.ts";
import { type Clock, withDeadline } from "../host/clock.ts";
import type { Revision } from "../kv/key-value-store.ts";

/** A question that is meant for somebody else. */
export class WrongProcessError extends Error {
  override readonly name = "WrongProcessError";
}

/** What a caller waits for. */
export interface ImageWait {
  /** The process that is meant. */
  readonly process: string;
  readonly collection: ImageCollection;
  readonly revision: Revision;
}

/** Parts of a {@link ControlService}. */
export interface ControlServiceParts {
  /** Hex digits, as in the session. */
  readonly process: string;
  readonly feed: ImageFeed;
  readonly clock: Clock;
  /** Whether the object store answers a call that is made after this one, bounded and paced whoever asks. */
  readonly isStoreAnswering: () => Promise<boolean>;
}

/** Longest wait for a caller that names no deadline or a later one. */
export const IMAGE_WAIT_MS_MAX = 60_000;

/** The answering side of the calls between brokers. */
export class ControlService {
  readonly #process: string;
  readonly #feed: ImageFeed;
  readonly #clock: Clock;
  readonly #isStoreAnswering: () => Promise<boolean>;

  constructor(parts: ControlServiceParts) {
    this.#process = parts.process;
    this.#feed = parts.feed;
    this.#clock = parts.clock;
    this.#isStoreAnswering = parts.isStoreAnswering;
  }

  /** Who answers. */
  probe(): { readonly process: string } {
    return { process: this.#process };
  }

  /**
   * Resolves when the own image shows the collection at the revision or later.
   * @throws WrongProcessError; DeadlineError after {@link IMAGE_WAIT_MS_MAX}; the signal's reason
   */
  async waitForImage(asked: ImageWait, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { process, collection, revision } = asked;
    this.#requireProcess(process);
    const what = `revision ${revision} of ${collection}`;
    await withDeadline(this.#clock, IMAGE_WAIT_MS_MAX, what, signal, (wait) =>
      this.#feed.waitFor(collection, revision, { signal: wait }),
    );
  }

  /**
   * Whether the object store answers this broker, tried after the call has come.
   * @param process the process that is meant
   * @throws WrongProcessError
   */
  async probeStore({ process }: { readonly process: string }): Promise<boolean> {
    this.#requireProcess(process);
    return this.#isStoreAnswering();
  }

  #requireProcess(process: string): void {
    if (process === this.#process) return;
    throw new WrongProcessError(`process ${process} was asked, and ${this.#process} answers here`);
  }
}
