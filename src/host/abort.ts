// Abort signals that live as long as a broker or a session: any number of waits may listen to them at the same time.
import { setMaxListeners } from "node:events";

/** A controller whose signal takes any number of listeners without the warning that is meant for leaks. */
export function longLivedController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** A signal that aborts with the first of `signals`, as long-lived as they are: it too takes any number of listeners. */
export function anySignal(...signals: readonly AbortSignal[]): AbortSignal {
  const signal = AbortSignal.any([...signals]);
  setMaxListeners(0, signal);
  return signal;
}
