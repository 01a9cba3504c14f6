// What a verification tells: one finding for each object, and one for all shards that the same thing keeps from being
// loaded. Pure.
import { isUnanswered, type ShardReferences } from "../log/shard-references.ts";
import type { ObjectFault } from "./reference-look.ts";

/**
 * Something that is not as it has to be.
 * - `missing`, `damaged`: an object that a shard refers to. `unreadable`: a shard that its next owner could not load.
 * - `unknown`: the store did not tell, or the cluster changed with each look.
 * - `stray`: an object to which nobody refers, nor ever will. `foreign`: a key that is none of this cluster.
 */
export interface Finding {
  readonly kind: "missing" | "damaged" | "unreadable" | "unknown" | "stray" | "foreign";
  /** The object, or `shard` and its number, or `shards` and the first numbers. */
  readonly key: string;
  readonly text: string;
  /** Bytes of a stray or foreign object. */
  readonly bytes?: number;
  /** Whether `--repair` removes it. */
  readonly isRemovable: boolean;
}

/** Shards that one finding names. */
const SHARDS_NAMED_MAX = 20;

/** What is wrong with shards and with what they refer to; objects of `told` are not told again. */
export function faultFindings(
  shards: readonly ShardReferences[],
  faults: ReadonlyMap<string, ObjectFault>,
  told: ReadonlySet<string>,
): Finding[] {
  const findings = failureFindings(shards);
  const known = new Set(told);
  for (const { references } of shards) {
    for (const { key, of } of references) {
      const fault = faults.get(key);
      if (!fault || known.has(key)) continue;
      known.add(key);
      findings.push({ kind: fault.kind, key, text: `${fault.text}; ${of} refers to it`, isRemovable: false });
    }
  }
  return findings;
}

/** One checkpoint may be what all shards of a session start from. */
function failureFindings(shards: readonly ShardReferences[]): Finding[] {
  const byText = new Map<string, { readonly kind: "unknown" | "unreadable"; readonly failed: number[] }>();
  for (const { shard, failure } of shards) {
    if (failure === undefined) continue;
    const text = textOf(failure);
    const found = byText.get(text) ?? { kind: isUnanswered(failure) ? "unknown" : "unreadable", failed: [] };
    found.failed.push(shard);
    byText.set(text, found);
  }
  return [...byText].map(([text, { kind, failed }]) => ({ kind, key: shardsText(failed), text, isRemovable: false }));
}

/** Of shards that were other ones at each of `rounds` looks. */
export function restlessFinding(shards: readonly ShardReferences[], rounds: number): Finding {
  const text = `claim or checkpoint changed with each of ${rounds} looks: look again`;
  return { kind: "unknown", key: shardsText(shards.map(({ shard }) => shard)), text, isRemovable: false };
}

function shardsText(shards: readonly number[]): string {
  const first = shards.slice(0, SHARDS_NAMED_MAX).join(", ");
  const more = shards.length > SHARDS_NAMED_MAX ? ` and ${shards.length - SHARDS_NAMED_MAX} more` : "";
  return `${shards.length === 1 ? "shard" : "shards"} ${first}${more}`;
}

function textOf(error: unknown): string {
  const texts: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { message } = cause;
    if (!texts.some((known) => known.includes(message))) texts.push(message);
  }
  return texts.length > 0 ? texts.join(": ") : String(error);
}
