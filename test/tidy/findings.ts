// How a rule reports: a list of sentences, compared with the exceptions that are written down.
import { expect } from "vitest";
import type { Exception } from "./exceptions.ts";

/** A place that breaks a rule. */
export interface Finding {
  /** What an exception names: a path, or `path#name`. */
  readonly key: string;
  /** What was measured there, for rules that measure. */
  readonly measure?: number;
  /** The sentence for the person who has to mend it. */
  readonly sentence: string;
}

/** Fails with the sentences of every finding without an exception, and with every exception that nothing needs. */
export function expectOnly(findings: readonly Finding[], exceptions: readonly Exception[]): void {
  const allowed = new Map(exceptions.map((exception) => [exception.path, exception]));
  const breaches = findings
    .filter(({ key, measure }) => {
      const exception = allowed.get(key);
      return exception === undefined || (measure ?? 0) > (exception.atMost ?? Number.POSITIVE_INFINITY);
    })
    .map(({ sentence }) => sentence);
  const found = new Set(findings.map(({ key }) => key));
  const unneeded = exceptions
    .filter(({ path }) => !found.has(path))
    .map(({ path }) => `${path} needs its exception no longer: remove it from test/tidy/exceptions.ts`);
  expect([...breaches, ...unneeded]).toEqual([]);
}
