// Before a client is told that a topic does not exist: whether the view of this broker lacks anything that was there when
// the client asked. One read of the metadata store for all who ask at the same time, ten a second at most, however many
// unknown names are asked for; then a moment for the watch. Refuses nothing: who cannot be answered gets what the view says.
import { anySignal } from "../host/abort.ts";
import { withDeadline } from "../host/clock.ts";
import { brokenInvariant } from "../invariant.ts";
import type { Revision } from "../kv/key-value-store.ts";
import { callOnce } from "./attempts.ts";
import type { ClusterComponents } from "./cluster-components.ts";
import type { MetadataImage } from "./image.ts";
import { type ImageFeed, newestChange } from "./image-feed.ts";

/** Time between the beginnings of two reads. */
const READ_PACE_MS = 100;
/** How long the watch is waited for once it is known that it lags. */
const LAG_MS_MAX = 500;
/** How long an asker waits for his read and the watch together. */
const WAIT_MS_MAX = 1_000;

/** Brings the image up to what was there when somebody asked. */
export class ImageCatchUp {
  readonly #components: ClusterComponents;
  readonly #feed: ImageFeed;
  /** The read under way: the newest change of topics. */
  #present: Promise<Revision> = Promise.resolve(0);
  /** The read that begins after that one: whoever asks now shares it. */
  #next: Promise<Revision> | null = null;
  #lastReadMs = Number.NEGATIVE_INFINITY;

  constructor(components: ClusterComponents, feed: ImageFeed) {
    this.#components = components;
    this.#feed = feed;
  }

  /**
   * Resolves as soon as `isThere` holds of the image; else when the image has all topics that were there at the call, or
   * when nobody could tell within a second. Rejects with the signal's reason.
   */
  async topics(
    isThere: (image: MetadataImage) => boolean,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const { clock, log } = this.#components;
    const over = new AbortController();
    const until = (call: AbortSignal) => {
      const options = { signal: anySignal(call, over.signal) };
      // In the very step that shows the topic: requests of one connection must not overtake each other here.
      return Promise.race([this.#feed.waitUntil(isThere, options), this.#caughtUp(options.signal)]);
    };
    try {
      await withDeadline(clock, WAIT_MS_MAX, "look for unknown topics", signal, until);
    } catch (error) {
      signal.throwIfAborted();
      if (brokenInvariant(error)) throw error;
      log.debug("unknown topics are answered from the view", { error });
    } finally {
      over.abort(new Error("the wait for unknown topics is over"));
    }
  }

  async #caughtUp(signal: AbortSignal): Promise<void> {
    const newest = await this.#newestChange();
    const shown = (call: AbortSignal) => this.#feed.waitFor("topics", newest, { signal: call });
    await withDeadline(this.#components.clock, LAG_MS_MAX, "wait for the watch of topics", signal, shown);
  }

  /** Of a read that begins after the call. */
  #newestChange(): Promise<Revision> {
    this.#next ??= this.#present
      .catch(() => {})
      .then(() => this.#pace())
      .then(() => {
        this.#next = null;
        this.#present = this.#read();
        return this.#present;
      });
    return this.#next;
  }

  /** Until the next read may begin. */
  #pace(): Promise<void> | undefined {
    const { clock } = this.#components;
    const waitMs = this.#lastReadMs + READ_PACE_MS - clock.monotonicMs();
    if (waitMs <= 0) return undefined;
    return new Promise((resolve) => {
      clock.setTimer(waitMs, resolve);
    });
  }

  #read(): Promise<Revision> {
    this.#lastReadMs = this.#components.clock.monotonicMs();
    // Not with the signal of one asker: the others share it, and it has a deadline of its own.
    const attempt = { what: "newest change of topics", signal: new AbortController().signal };
    return callOnce(this.#components, attempt, (signal) => newestChange(this.#components, "topics", { signal }));
  }
}
