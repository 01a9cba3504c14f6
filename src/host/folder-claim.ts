// How processes agree on who has a folder, apart from how a claim is made: by numbers that only grow, of which the
// highest counts. docs/adr/0001-lock-of-a-data-folder.md argues for it.

/** Whether the process behind a claim lives; `gone` when there is no such claim. */
export type Liveness = "alive" | "dead" | "gone";

/** The claims on one folder. Each operation is atomic by itself, and none of them with another. */
export interface ClaimTable<Candidate> {
  /** The numbers claimed, in no order, as they are at some moment of the call. A number there all the time is seen. */
  numbers(): Promise<readonly number[]>;
  livenessOf(number: number): Promise<Liveness>;
  /** A claim without a number that already shows as alive, until it is dropped or its process dies. */
  newCandidate(): Promise<Candidate>;
  /** Gives a candidate a number, unless that is taken. */
  publish(candidate: Candidate, number: number): Promise<boolean>;
  drop(candidate: Candidate): Promise<void>;
  /** Takes a number away, whoever has it. */
  remove(number: number): Promise<void>;
}

/** Rounds after which a claim gives up; each lost round means that another process got further. */
const ROUNDS_MAX = 1000;

/** Claims the folder. @returns the claim that holds it, or nothing when a living process has it */
export async function claimFolder<Candidate>(claims: ClaimTable<Candidate>): Promise<Candidate | undefined> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const latest = highest(await claims.numbers());
    const liveness = latest === 0 ? "dead" : await claims.livenessOf(latest);
    if (liveness === "alive") return undefined;
    if (liveness === "gone") continue;
    const candidate = await claims.newCandidate();
    const mine = latest + 1;
    const isPublished = await claims.publish(candidate, mine);
    const numbers = isPublished ? await claims.numbers() : [];
    if (isPublished && highest(numbers) === mine) {
      // Never one's own, not even when the lock is released: the highest number must not go down.
      for (const number of numbers) if (number < mine) await claims.remove(number);
      return candidate;
    }
    // A number above ours: ours was claimed before, by a process that died, and was cleared away since.
    if (isPublished) await claims.remove(mine);
    await claims.drop(candidate);
  }
  return undefined;
}

function highest(numbers: readonly number[]): number {
  return Math.max(0, ...numbers);
}
