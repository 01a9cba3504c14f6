// The one assertion of the code base. A broken invariant is a bug: nobody catches it, the process ends and is restarted.

/** What {@link invariant} throws. Never caught to go on: state may be wrong from here. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/**
 * Stops the program's present work when `condition` is false. On in production.
 * @param message what was expected, with the values that show it
 */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** The broken invariant that an error stands for: the error itself or one of its causes. */
export function brokenInvariant(error: unknown): InvariantError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof InvariantError) return cause;
  }
  return undefined;
}
