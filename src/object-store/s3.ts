// The object store on an S3 API. A put carries our CRC-32C, which the store checks; a whole read is compared with it,
// because an ETag is no checksum where objects are encrypted. Every call has a deadline of its own that covers the body.
// Nothing is sent twice here but after newer keys, a corrected clock or newer authorities; other retries are the
// caller's. Uses four rights: get, put, delete, list. No multipart.
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { type Clock, withDeadline } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { brokenInvariant } from "../invariant.ts";
import { refuseIfAborted } from "./call-refusal.ts";
import { checkListLimit, checkObjectCount, checkObjectKey } from "./object-key.ts";
import {
  type ByteRange,
  type CallOptions,
  type ObjectStore,
  ObjectStoreError,
  type ObjectSummary,
  type PutOptions,
} from "./object-store.ts";
import { base64OfCrc32c, checksumOf, PartsBody, readBody } from "./s3-bodies.ts";
import { type S3ClientSettings, S3Clients, type S3Pool } from "./s3-clients.ts";
import { RotatingCredentials, type S3CredentialSource } from "./s3-credentials.ts";
import {
  isBrokenConnection,
  isCertificateRefusal,
  isClockCorrected,
  isCredentialRefusal,
  type S3Place,
  s3Failure,
} from "./s3-failure.ts";

/** Where the objects are and how they are asked for. */
export interface S3Settings extends Omit<S3ClientSettings, "authorities"> {
  readonly bucket: string;
  /** Key of AWS's key service that objects are encrypted with, or undefined for the bucket's own rule. */
  readonly kmsKeyArn: string | undefined;
  /** Milliseconds that one attempt of one call may take, its body included. */
  readonly attemptTimeoutMs: number;
}

/** Parts of an {@link S3ObjectStore}. */
export interface S3Components {
  readonly clock: Clock;
  readonly log: Log;
  readonly credentials: S3CredentialSource;
  /** Reads the authorities that are trusted beside the usual ones; asked again when a certificate is refused. */
  readonly loadAuthorities?: (() => Promise<readonly string[]>) | undefined;
}

/** What a bucket says of its versions; `not-told` where the keys lack the right to ask, which they do not need. */
export type BucketVersioning = "off" | "enabled" | "suspended" | "not-told";

/** One call: what it is for people, and where it goes. */
interface S3Call {
  readonly what: string;
  readonly pool: S3Pool;
  readonly signal: AbortSignal;
}

/** An object as a HEAD shows it; a store may keep no checksum. */
interface StoredContent {
  readonly bytes: number;
  readonly checksum: string | undefined;
}

/** What a put is to leave. */
interface ObjectContent {
  readonly key: string;
  readonly bytes: number;
  readonly checksum: string;
}

/** A refused put's own checksum, for the probe. */
const WRONG_CHECKSUM = base64OfCrc32c(0x0bad_c0de);

/** A bucket. */
export class S3ObjectStore implements ObjectStore {
  readonly #settings: S3Settings;
  readonly #components: S3Components;
  readonly #credentials: RotatingCredentials;
  #clients: S3Clients;
  #authorities: readonly string[] | undefined;
  #clockSkewMs: number | undefined;

  private constructor(settings: S3Settings, components: S3Components, authorities: readonly string[] | undefined) {
    this.#settings = settings;
    this.#components = components;
    this.#credentials = new RotatingCredentials(components.credentials, components.clock);
    this.#authorities = authorities;
    this.#clients = this.#openClients();
  }

  /** Makes a store; asks the bucket nothing yet. Fails when the authorities cannot be read. */
  static async open(settings: S3Settings, components: S3Components): Promise<S3ObjectStore> {
    return new S3ObjectStore(settings, components, await components.loadAuthorities?.());
  }

  /** The store's clock minus this machine's at the last answer, in milliseconds, or undefined before the first. */
  get clockSkewMs(): number | undefined {
    return this.#clockSkewMs;
  }

  async put(key: string, parts: readonly Uint8Array[], { ifAbsent, signal, isBackground }: PutOptions): Promise<void> {
    checkObjectKey(key);
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const checksum = checksumOf(parts);
    const call: S3Call = { what: `put ${key}`, pool: isBackground ? "background" : "produce", signal };
    try {
      await this.#call(call, (client, abortSignal) => {
        const input = {
          Bucket: this.#settings.bucket,
          Key: key,
          // What is hashed into the signature has to be in one piece.
          Body: this.#settings.isPayloadSigned ? Buffer.concat(parts) : new PartsBody(parts),
          ContentLength: bytes,
          ChecksumCRC32C: checksum,
          ...(ifAbsent ? { IfNoneMatch: "*" } : {}),
          ...this.#encryption(),
        };
        return client.send(new PutObjectCommand(input), { abortSignal });
      });
    } catch (error) {
      if (!ifAbsent || !(await this.#isDone(error, { key, bytes, checksum }, call))) throw error;
    }
  }

  async get(
    key: string,
    { signal, range, isBackground }: CallOptions & { range?: ByteRange | undefined },
  ): Promise<Uint8Array> {
    checkObjectKey(key);
    if (range?.length === 0) return this.#nothingOf(key, range.start, signal);
    const call: S3Call = { what: `get ${key}`, pool: isBackground ? "background" : "fetch", signal };
    return await this.#call(call, async (client, abortSignal) => {
      const answer = await client.send(
        new GetObjectCommand({
          Bucket: this.#settings.bucket,
          Key: key,
          ...(range ? { Range: `bytes=${range.start}-${range.start + range.length - 1}` } : {}),
        }),
        { abortSignal },
      );
      return readBody(answer, { what: call.what, range, signal: abortSignal });
    });
  }

  async head(key: string, { signal }: CallOptions): Promise<{ bytes: number }> {
    checkObjectKey(key);
    try {
      const { bytes } = await this.#head(key, { signal, pool: "fetch" });
      return { bytes };
    } catch (error) {
      // The answer to a HEAD has no code: a read tells whether the object is missing or its bucket, the right or the key.
      if (error instanceof ObjectStoreError && (error.kind === "not-found" || error.kind === "denied")) {
        await this.get(key, { signal, range: { start: 0, length: 1 } });
      }
      throw error;
    }
  }

  async list(
    prefix: string,
    { signal, startAfter, limit }: CallOptions & { startAfter?: string; limit: number },
  ): Promise<{ objects: ObjectSummary[]; isTruncated: boolean }> {
    checkListLimit(limit);
    const answer = await this.#call({ what: `list ${prefix}`, pool: "background", signal }, (client, abortSignal) =>
      client.send(
        new ListObjectsV2Command({
          Bucket: this.#settings.bucket,
          Prefix: prefix,
          MaxKeys: limit,
          ...(startAfter === undefined || startAfter === "" ? {} : { StartAfter: startAfter }),
        }),
        { abortSignal },
      ),
    );
    const objects = (answer.Contents ?? []).map(({ Key = "", Size = 0 }) => ({ key: Key, bytes: Size }));
    return { objects, isTruncated: answer.IsTruncated ?? false };
  }

  async delete(keys: readonly string[], { signal }: CallOptions): Promise<void> {
    checkObjectCount(keys.length);
    for (const key of keys) checkObjectKey(key);
    const what = keys.length === 1 ? `delete of ${keys[0]}` : `delete of ${keys.length} objects`;
    refuseIfAborted(signal, what);
    if (keys.length === 0) return;
    const Bucket = this.#settings.bucket;
    await this.#call({ what, pool: "background", signal }, async (client, abortSignal) => {
      if (keys.length === 1) {
        await client.send(new DeleteObjectCommand({ Bucket, Key: keys[0] }), { abortSignal });
        return;
      }
      const Delete = { Quiet: true, Objects: keys.map((Key) => ({ Key })) };
      const { Errors = [] } = await client.send(new DeleteObjectsCommand({ Bucket, Delete }), { abortSignal });
      const [first] = Errors;
      if (first === undefined) return;
      // As if the first refusal had been the answer: the rest is deleted, and deleting it again does nothing.
      const status = first.Code === "AccessDenied" ? 403 : 500;
      const message = `${first.Key} and ${Errors.length - 1} more: ${first.Message ?? ""}`;
      throw Object.assign(new Error(message), { name: first.Code ?? "", $metadata: { httpStatusCode: status } });
    });
  }

  /** What the bucket says of its versions. */
  async versioning({ signal }: CallOptions): Promise<BucketVersioning> {
    const call: S3Call = { what: "question for versioning", pool: "background", signal };
    try {
      const { Status } = await this.#call(call, (client, abortSignal) =>
        client.send(new GetBucketVersioningCommand({ Bucket: this.#settings.bucket }), { abortSignal }),
      );
      if (Status === "Enabled") return "enabled";
      return Status === "Suspended" ? "suspended" : "off";
    } catch (error) {
      if (error instanceof ObjectStoreError && error.kind === "denied") return "not-told";
      throw error;
    }
  }

  /**
   * Puts an object with a checksum that is not its own.
   * @returns whether the store refused it; where it did not, the object is there
   */
  async refusesWrongChecksum(key: string, { signal }: CallOptions): Promise<boolean> {
    checkObjectKey(key);
    const Body = new TextEncoder().encode("not what the checksum says");
    const input = {
      Bucket: this.#settings.bucket,
      Key: key,
      Body,
      ChecksumCRC32C: WRONG_CHECKSUM,
      ...this.#encryption(),
    };
    const call: S3Call = { what: `put ${key} with a wrong checksum`, pool: "background", signal };
    return await this.#call(call, async (client, abortSignal) => {
      try {
        await client.send(new PutObjectCommand(input), { abortSignal });
        return false;
      } catch (error) {
        const { $metadata, name } = error as { $metadata?: { httpStatusCode?: number }; name?: string };
        if ($metadata?.httpStatusCode === 400 && /Digest|Checksum/i.test(name ?? "")) return true;
        throw error;
      }
    });
  }

  /** Whether the store gives back the checksum that a put of `key` sent. */
  async keepsChecksum(key: string, { signal }: CallOptions): Promise<boolean> {
    return (await this.#head(key, { signal, pool: "background" })).checksum !== undefined;
  }

  /** Breaks every connection. */
  close(): void {
    this.#clients.close();
  }

  #encryption(): { ServerSideEncryption?: "aws:kms"; SSEKMSKeyId?: string; BucketKeyEnabled?: boolean } {
    const { kmsKeyArn } = this.#settings;
    // With the bucket's key one call of the key service covers many objects.
    return kmsKeyArn === undefined
      ? {}
      : { ServerSideEncryption: "aws:kms", SSEKMSKeyId: kmsKeyArn, BucketKeyEnabled: true };
  }

  /**
   * Whether a put that failed, and replaces nothing, is done nevertheless: what stands at its key has its size and
   * checksum. An earlier try of it may have landed, or this one whose answer was lost. A server that refuses a large body
   * early closes the connection, and the refusal itself is lost as often as not: so a broken connection asks, too.
   * @throws ObjectStoreError `already-exists` when something else stands there
   */
  async #isDone(error: unknown, put: ObjectContent, { signal, pool, what }: S3Call): Promise<boolean> {
    if (!(error instanceof ObjectStoreError) || signal.aborted) return false;
    const isLost = error.kind === "unknown" && isBrokenConnection(error.cause);
    if (error.kind !== "already-exists" && !isLost) return false;
    let stored: StoredContent;
    try {
      stored = await this.#head(put.key, { signal, pool });
    } catch (failure) {
      if (brokenInvariant(failure)) throw failure;
      return false;
    }
    if (stored.bytes === put.bytes && stored.checksum === put.checksum) return true;
    throw new ObjectStoreError("already-exists", `${what}: other content stands there`, { cause: error });
  }

  async #head(
    key: string,
    { signal, pool }: { readonly signal: AbortSignal; readonly pool: S3Pool },
  ): Promise<StoredContent> {
    const answer = await this.#call({ what: `head ${key}`, pool, signal }, (client, abortSignal) =>
      client.send(new HeadObjectCommand({ Bucket: this.#settings.bucket, Key: key, ChecksumMode: "ENABLED" }), {
        abortSignal,
      }),
    );
    return { bytes: answer.ContentLength ?? 0, checksum: answer.ChecksumCRC32C };
  }

  /** A read of no bytes, which HTTP cannot ask for. */
  async #nothingOf(key: string, start: number, signal: AbortSignal): Promise<Uint8Array> {
    const { bytes } = await this.head(key, { signal });
    if (start < bytes) return new Uint8Array();
    throw new ObjectStoreError("not-found", `get ${key}: byte ${start} is past its ${bytes} bytes`);
  }

  /** One attempt, and a second one where what the first was refused for has changed since it was sent. */
  async #call<T>(
    { what, pool, signal }: S3Call,
    send: (client: S3Client, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    refuseIfAborted(signal, what);
    const { clock } = this.#components;
    const attempt = () =>
      withDeadline(clock, this.#settings.attemptTimeoutMs, what, signal, (attemptSignal) =>
        send(this.#clients.of(pool), attemptSignal),
      );
    const version = this.#credentials.version;
    try {
      return await attempt().catch(async (error: unknown) => {
        if (signal.aborted || !(await this.#isMended(error, version))) throw error;
        return attempt();
      });
    } catch (error) {
      if (brokenInvariant(error)) throw error;
      if (signal.aborted) throw new ObjectStoreError("unknown", `${what} was given up`, { cause: signal.reason });
      throw s3Failure(what, error, { place: this.#place(), mayCredentialsChange: this.#credentials.mayChange });
    }
  }

  /** Whether the reason of a refusal is gone, so that the same call may pass now. */
  async #isMended(error: unknown, version: number): Promise<boolean> {
    if (isClockCorrected(error)) return true;
    if (isCredentialRefusal(error)) return await this.#credentials.renew(version);
    return isCertificateRefusal(error) && (await this.#reloadAuthorities());
  }

  async #reloadAuthorities(): Promise<boolean> {
    const { loadAuthorities, log } = this.#components;
    if (loadAuthorities === undefined) return false;
    const before = this.#clients;
    const read = await loadAuthorities().catch((error: unknown) => {
      log.warn("the authorities of the object store cannot be read", { error });
      return undefined;
    });
    // Another call may have changed them while this one read.
    if (this.#clients !== before) return true;
    if (read === undefined || read.join() === this.#authorities?.join()) return false;
    this.#authorities = read;
    this.#clients = this.#openClients();
    before.close();
    return true;
  }

  #openClients(): S3Clients {
    const { clock } = this.#components;
    return new S3Clients(
      { ...this.#settings, authorities: this.#authorities },
      {
        identity: () => this.#credentials.current(),
        onServerTime: (serverMs) => {
          this.#clockSkewMs = serverMs - clock.wallMs();
        },
      },
    );
  }

  #place(): S3Place {
    const { bucket, region, endpoint } = this.#settings;
    return { bucket, region, endpoint };
  }
}
