// What every part of this room is given: the store, time, chance, the log and the spelling of keys.
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import type { Random } from "../host/random.ts";
import type { KeyValueStore } from "../kv/key-value-store.ts";
import type { ClusterKeys } from "./keys.ts";

/** Injected parts, the same for the life of a broker. */
export interface ClusterComponents {
  readonly kv: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly keys: ClusterKeys;
}

/** The session's own key is gone, for ever: nothing it sends from now on is applied. The owner ends the session. */
export class SessionFencedError extends Error {
  override readonly name = "SessionFencedError";
}
