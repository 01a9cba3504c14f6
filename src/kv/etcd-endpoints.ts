// The connections to etcd: which endpoint calls go to, and under which credentials. etcd3 is used with what is unsafe in
// it turned off: it repeats nothing, and every call has a deadline. One endpoint is used at a time, by all calls, until it
// fails one: a member that is cut off then costs one deadline, not a share of every call.
import { InterceptingCall, type Interceptor, type Metadata, status } from "@grpc/grpc-js";
import { noop } from "cockatiel";
import { Etcd3, type IOptions, type KVClient, type LeaseClient, type WatchClient } from "etcd3";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Random } from "../host/random.ts";
import { invariant } from "../invariant.ts";
import { etcdFailure, isFaultOfEndpoint, isLoginNotNeeded, isLoginRefusal, LOGIN_REFUSED } from "./etcd-failure.ts";
import { KvError, type Revision } from "./key-value-store.ts";

/** Where certificates and login come from. They are read again while they are in use, so that both may be renewed. */
export interface EtcdCredentials {
  /** PEM. The certificate and the key of the client go together. */
  readonly tls?: {
    readonly rootCertificate: Uint8Array;
    readonly certificate?: Uint8Array;
    readonly privateKey?: Uint8Array;
  };
  readonly login?: { readonly username: string; readonly password: string };
}

/** What a store on etcd is made of. */
export interface EtcdOptions {
  /** `http://host:port` or `https://host:port`, all of one kind; at least one. */
  readonly endpoints: readonly string[];
  /** Gives the credentials as they are now. None without it. */
  readonly loadCredentials?: () => Promise<EtcdCredentials>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Deadline of each call. Longer than a change of leader takes (1.7 s were seen), shorter than callers wait (3 s). */
  readonly callTimeoutMs?: number;
}

const CALL_TIMEOUT_MS = 2500;
/** How old credentials may be when a call is made. */
const CREDENTIALS_AGE_MS_MAX = 10_000;
/** Largest answer that is taken. A page of a range that is larger is asked for again in smaller pieces. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

const channelOptions: NonNullable<IOptions["grpcOptions"]> = {
  // A connection that went silent under a watch is noticed after both. etcd takes pings every 5 s, and only with a call
  // open: more, and it closes the connection.
  "grpc.keepalive_time_ms": 6000,
  "grpc.keepalive_timeout_ms": 2000,
  "grpc.keepalive_permit_without_calls": 0,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
  "grpc.max_receive_message_length": ANSWER_BYTES_MAX,
  // Nothing below us sends a call twice, also when a DNS record asks for it.
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // After a failed call etcd3 opens a new channel. It gets a connection of its own, not the one that just failed.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.enable_channelz": 0,
};

/** One address of etcd with its clients. */
export class EtcdEndpoint {
  readonly address: string;
  readonly #kv: Etcd3;
  /** Apart from `#kv`, because etcd3 closes every service of a client whose call failed. */
  readonly #streams: Etcd3;
  readonly #options: EtcdOptions;
  readonly #login: () => EtcdCredentials["login"];
  /** The login in progress or done. */
  #ready: Promise<void> | undefined;
  #token: string | undefined;

  constructor(address: string, options: EtcdOptions, credentials: () => EtcdCredentials) {
    this.address = address;
    this.#options = options;
    this.#login = () => credentials().login;
    this.#kv = this.#client(credentials().tls);
    this.#streams = this.#client(credentials().tls);
  }

  get kv(): KVClient {
    return this.#kv.kv;
  }

  get lease(): LeaseClient {
    return this.#streams.leaseClient;
  }

  get watch(): WatchClient {
    return this.#streams.watchClient;
  }

  /** Resolves when calls carry the token of the login, if there is one. Rejects with a definite {@link KvError}. */
  login(): Promise<void> {
    const login = this.#login();
    if (login === undefined) return Promise.resolve();
    this.#ready ??= this.#authenticate(login).catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  /** Lets the next call log in again. */
  forgetLogin(): void {
    this.#token = undefined;
    this.#ready = undefined;
  }

  /** The deadline of a call that begins now. */
  deadline(): { readonly deadline: number } {
    return { deadline: this.#options.clock.wallMs() + (this.#options.callTimeoutMs ?? CALL_TIMEOUT_MS) };
  }

  close(): void {
    this.#kv.close();
    this.#streams.close();
  }

  async #authenticate({ username, password }: NonNullable<EtcdCredentials["login"]>): Promise<void> {
    try {
      const { token } = await this.#streams.auth.authenticate({ name: username, password });
      this.#token = token;
    } catch (error) {
      this.#token = undefined;
      if (isLoginNotNeeded(error)) {
        this.#options.log.warn("etcd has its authentication off and takes every login", { endpoint: this.address });
        return;
      }
      const failure = etcdFailure(error, `login as ${username} at etcd ${this.address}`);
      // A login changes nothing: whatever it is for was never sent.
      throw failure.kind === "unknown" ? new KvError("unavailable", failure.message, { cause: error }) : failure;
    }
  }

  #client(tls: EtcdCredentials["tls"]): Etcd3 {
    const isSecure = this.address.startsWith("https:");
    const credentials = isSecure &&
      tls && {
        rootCertificate: Buffer.from(tls.rootCertificate),
        ...(tls.certificate && { certChain: Buffer.from(tls.certificate) }),
        ...(tls.privateKey && { privateKey: Buffer.from(tls.privateKey) }),
      };
    const interceptors = [this.#withToken];
    return new Etcd3({
      hosts: this.address,
      grpcOptions: channelOptions,
      faultHandling: { global: noop, host: () => noop },
      defaultCallOptions: ({ isStream, service }) => {
        if (isStream) return { interceptors };
        return service === "Auth" ? this.deadline() : { ...this.deadline(), interceptors };
      },
      ...(credentials && { credentials }),
    });
  }

  /** Adds what every call carries, and hears of a refused token. */
  readonly #withToken: Interceptor = (options, nextCall) => {
    const token = this.#token;
    const start = (metadata: Metadata, _: unknown, next: (metadata: Metadata, listener: object) => void) => {
      // A member that lost its leader ends streams and refuses calls, where it would keep them waiting.
      metadata.set("hasleader", "true");
      if (token !== undefined) metadata.set("token", token);
      next(metadata, {
        onReceiveStatus: (answer: { code: status; details: string; metadata: Metadata }, pass: (s: object) => void) => {
          pass(this.#isRefused(answer, token) ? { ...answer, details: LOGIN_REFUSED } : answer);
        },
      });
    };
    return new InterceptingCall(nextCall(options), { start });
  };

  #isRefused({ code, details }: { code: status; details: string }, token: string | undefined): boolean {
    if (code === status.OK || this.#login() === undefined || !isLoginRefusal(details)) return false;
    if (token === this.#token) this.forgetLogin();
    return true;
  }
}

/** All endpoints, of which one is in use. */
export class EtcdEndpoints {
  readonly #options: EtcdOptions;
  #endpoints: EtcdEndpoint[] = [];
  /** Index of the endpoint in use. */
  #current: number;
  #credentials: EtcdCredentials = {};
  /** Monotonic time after which the credentials are read again. */
  #readAgainMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #isClosed = false;
  /** Only grows. */
  #revision: Revision = 0;

  constructor(options: EtcdOptions) {
    invariant(options.endpoints.length > 0, "etcd without an endpoint");
    this.#options = options;
    this.#current = Math.floor(options.random.uniform() * options.endpoints.length);
  }

  get count(): number {
    return this.#options.endpoints.length;
  }

  /** The newest revision that any answer has named. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Notes the revision of an answer. */
  sawRevision(revision: Revision): void {
    if (revision > this.#revision) this.#revision = revision;
  }

  /** The endpoint in use, logged in. Rejects with a definite {@link KvError}: nothing was sent. */
  async current(): Promise<EtcdEndpoint> {
    const { clock } = this.#options;
    if (clock.monotonicMs() >= this.#readAgainMs) await (this.#reading ??= this.#readCredentials());
    if (this.#isClosed) throw new KvError("unavailable", "the store was closed");
    const endpoint = this.#endpoints[this.#current];
    invariant(endpoint, `endpoint ${this.#current} of ${this.#endpoints.length}`);
    try {
      await endpoint.login();
    } catch (error) {
      this.failed(endpoint, etcdFailure(error, "login"));
      throw error;
    }
    return endpoint;
  }

  /** Takes the next endpoint where another may do what this one did not. */
  failed(endpoint: EtcdEndpoint, failure: KvError): void {
    if (failure.kind === "denied") this.#readAgainMs = Number.NEGATIVE_INFINITY;
    const isInUse = this.#endpoints[this.#current] === endpoint;
    if (!isInUse || this.count === 1 || !isFaultOfEndpoint(failure)) return;
    this.#current = (this.#current + 1) % this.count;
    const next = this.#endpoints[this.#current]?.address;
    this.#options.log.warn("another endpoint of etcd is used", { from: endpoint.address, to: next, error: failure });
  }

  /** Closes every connection once its calls have ended. */
  close(): void {
    this.#isClosed = true;
    for (const endpoint of this.#endpoints) endpoint.close();
    this.#endpoints = [];
  }

  async #readCredentials(): Promise<void> {
    const { loadCredentials, log, clock } = this.#options;
    try {
      const credentials = (await loadCredentials?.()) ?? {};
      const isFirst = this.#endpoints.length === 0;
      const isOther = JSON.stringify(credentials.tls) !== JSON.stringify(this.#credentials.tls);
      this.#credentials = credentials;
      if (!this.#isClosed && (isFirst || isOther)) this.#open();
      if (!isFirst && isOther) log.info("the certificates for etcd were renewed");
    } catch (error) {
      if (this.#endpoints.length === 0) {
        throw new KvError("denied", `the credentials for etcd cannot be read: ${String(error)}`, { cause: error });
      }
      // A file that is being replaced: what was read before may still do.
      log.warn("the credentials for etcd cannot be read again", { error });
    } finally {
      this.#readAgainMs = clock.monotonicMs() + CREDENTIALS_AGE_MS_MAX;
      this.#reading = undefined;
    }
  }

  #open(): void {
    for (const endpoint of this.#endpoints) endpoint.close();
    this.#endpoints = this.#options.endpoints.map(
      (address) => new EtcdEndpoint(address, this.#options, () => this.#credentials),
    );
  }
}
