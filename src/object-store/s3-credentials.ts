// The keys that sign requests, read again when they may have changed: a session token expires, a mounted secret is
// replaced. A request never waits for a refresh while the keys at hand may still do; one that the store refused for its
// keys asks for newer ones and is sent again only if there are any.
import type { Clock } from "../host/clock.ts";

/** Keys as the store's owner gave them. */
export interface S3Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** When they stop to be valid, if that is known. */
  readonly expiration?: Date | undefined;
}

/** Where keys come from. */
export interface S3CredentialSource {
  /** The keys of this moment. Fails with a message for the operator when there are none. */
  load(): Promise<S3Identity>;
  /** Whether another call may give other keys: then a refusal of the present ones may pass. */
  readonly mayChange: boolean;
}

/** Keys of a changing source are looked at again when they are this old, in milliseconds, unless they say when they end. */
const AGE_MS_MAX = 10_000;
/** Keys that say when they end are looked at again this long before, in milliseconds. */
const EXPIRY_MARGIN_MS = 300_000;
/** A source is asked at most this often, however many requests are refused. */
const RELOAD_PAUSE_MS = 1_000;

/** The present keys of a source. */
export class RotatingCredentials {
  readonly #source: S3CredentialSource;
  readonly #clock: Clock;
  #identity: S3Identity | undefined;
  /** Counts the different keys there were; 0 before the first. */
  #version = 0;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;

  constructor(source: S3CredentialSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** Which keys are in use; a request that is refused compares it with what it was when it was sent. */
  get version(): number {
    return this.#version;
  }

  /** Whether a refusal for its keys may pass without a restart. */
  get mayChange(): boolean {
    return this.#source.mayChange;
  }

  /** The keys to sign with. Waits for the source only where there are none yet. */
  async current(): Promise<S3Identity> {
    if (this.#identity === undefined) await this.#load();
    // A failed look changes nothing: the keys at hand may be valid still, and a refusal says so where they are not.
    else if (this.#isOld(this.#identity)) this.#load().catch(() => {});
    if (this.#identity === undefined) throw new Error("no credentials were loaded");
    return this.#identity;
  }

  /** Looks for other keys than those of `version`, which the store refused. @returns whether there are any */
  async renew(version: number): Promise<boolean> {
    if (version !== this.#version) return true;
    const isRecent = this.#clock.monotonicMs() - this.#loadedMs < RELOAD_PAUSE_MS;
    if (!this.#source.mayChange || (isRecent && this.#loading === undefined)) return false;
    await this.#load().catch(() => {});
    return version !== this.#version;
  }

  #isOld({ expiration }: S3Identity): boolean {
    if (!this.#source.mayChange || this.#clock.monotonicMs() - this.#loadedMs <= AGE_MS_MAX) return false;
    return expiration === undefined || expiration.getTime() - this.#clock.wallMs() < EXPIRY_MARGIN_MS;
  }

  #load(): Promise<void> {
    this.#loading ??= this.#loadNow().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadNow(): Promise<void> {
    this.#loadedMs = this.#clock.monotonicMs();
    const identity = await this.#source.load();
    if (this.#identity === undefined || !isSame(this.#identity, identity)) this.#version++;
    this.#identity = identity;
  }
}

function isSame(left: S3Identity, right: S3Identity): boolean {
  return (
    left.accessKeyId === right.accessKeyId &&
    left.secretAccessKey === right.secretAccessKey &&
    left.sessionToken === right.sessionToken
  );
}
